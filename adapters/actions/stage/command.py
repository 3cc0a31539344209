"""The exact command of a part: it owns the rendering of a run_spec, and runs nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.contract.stage_context import parameter_fields
from adapters.actions.contract.templates import PLACE, render
from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.stage_model import StagedPart


NO_MODELS: Mapping[str, str] = {}


class RenderedRun(BaseModel):
    """What a runner needs, and nothing else. JSON-able by `model_dump(mode="json")`.

    For `python`, argv[0] is the absolute path of the program: the runner puts its own interpreter
    in front. For `docker` and `k8s` the folders are paths of this machine, which the runner mounts
    at the same paths. On another machine the runner replaces the three folders wherever they stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runner: Literal["python", "shell", "docker", "k8s"]
    argv: tuple[str, ...]
    cwd: str
    input_root: str
    output_root: str
    contract_folder: str
    environment_allow: tuple[str, ...] = ()
    environment_set: dict[str, str] = Field(default_factory=dict[str, str])
    timeout_s: float
    memory_bytes: int | None = None
    output_bytes_max: int
    image: str | None = None
    gpu: bool = False
    success_codes: tuple[int, ...] = (0,)
    partial_codes: tuple[int, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str | None = None
    programs: tuple[str, ...] = ()
    model_files: tuple[str, ...] = ()
    """Files of this machine that containers see, read-only, under the same paths."""


def rendered_command(
    loaded: LoadedContract,
    staged: StagedPart,
    parameters: dict[str, Any],
    models: Mapping[str, str] = NO_MODELS,
    run_id: int | None = None,
) -> RenderedRun:
    """Return the command of a staged part.

    Every program is told its place (PLACE) in its environment, whether its templates ask for it or
    not. Without a run, or a batch, the words RUN and BATCH stand for their numbers.
    `models` says where the files lie that the contract is pinned to (see `checked_models`);
    UsageError when one is missing.
    """
    contract, spec = loaded.contract, loaded.contract.run_spec
    if spec is None:
        raise UsageError(f"action {contract.name} ({contract.type}) runs no program")
    for name in pinned_files(contract):
        if not models.get(name):
            raise UsageError(_unnamed(contract, name))
    assert contract.stage_layout is not None
    place: dict[str, str | int] = {
        "action_batch_id": staged.action_batch_id or "BATCH",
        "run_id": run_id or "RUN",
        "layout_id": contract.stage_layout.layout_id,
        "part": staged.part,
    }
    fields = {
        "input": staged.input_root,
        "output": staged.output_root,
        "contract": loaded.folder,
        "model": "",
        **models,
        **place,
        **parameter_fields(checked_parameters(contract, parameters)),
    }
    folders = {
        "input": staged.input_root, "output": staged.output_root, "contract": loaded.folder,
    }  # fmt: skip
    argv = [render(piece, fields) for piece in spec.command]
    if spec.runner == "python":
        argv[0] = os.path.join(loaded.folder, argv[0])
    return RenderedRun(
        runner=spec.runner,
        argv=tuple(argv),
        cwd=folders[spec.working_directory],
        input_root=staged.input_root,
        output_root=staged.output_root,
        contract_folder=loaded.folder,
        environment_allow=spec.environment.allow,
        environment_set={
            **{name: render(v, fields) for name, v in spec.environment.set.items()},
            **{PLACE[name]: str(value) for name, value in place.items()},
        },
        timeout_s=spec.timeout_s,
        memory_bytes=spec.memory_bytes,
        output_bytes_max=staged.output_bytes_max,
        image=spec.image,
        gpu=spec.gpu or spec.queue == "gpu",
        success_codes=spec.success_codes,
        partial_codes=spec.partial_codes,
        requires=spec.requires,
        extra=spec.extra,
        programs=spec.programs,
        model_files=tuple(sorted(models.values())),
    )


def pinned_files(contract: ActionContract) -> dict[str, str]:
    """Return the sha256 of every file that a contract is pinned to, by its field in templates."""
    pinned = {"model": contract.model_sha256} if contract.model_sha256 else dict[str, str]()
    files = contract.pins.files if contract.pins else {}
    return pinned | {f"model.{name}": digest for name, digest in files.items()}


def shown_models(loaded: LoadedContract) -> dict[str, str]:
    """Return words in the place of the pinned files, for who only looks."""
    return {name: name.upper() for name in pinned_files(loaded.contract)}


def checked_models(
    loaded: LoadedContract, models: Mapping[str, str | Mapping[str, str]]
) -> dict[str, str]:
    """Return the paths of the contract's pinned files, none when it needs none; UsageError when
    one is not there or is not the one that this version is pinned to."""
    contract, given = loaded.contract, models.get(loaded.contract.name, "")
    named = (
        {"model": given} if isinstance(given, str) else {f"model.{k}": v for k, v in given.items()}
    )
    paths: dict[str, str] = {}
    for name, wanted in pinned_files(contract).items():
        path = named.get(name, "")
        if not path:
            raise UsageError(_unnamed(contract, name))
        _check_pinned(contract, path, wanted)
        paths[name] = path
    return paths


def _unnamed(contract: ActionContract, name: str) -> str:
    table, _, file = name.partition(".")
    place = (
        f"[actions.models.{contract.name}] {file}" if file else f"[actions.models] {contract.name}"
    )
    return (
        f'action {contract.name} needs its {table} file: name it in drystone.toml, {place} = "FILE"'
    )


def _check_pinned(contract: ActionContract, path: str, wanted: str) -> None:
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the model of action {contract.name} cannot be read: {path}: {error.strerror}"
        ) from None
    if found != wanted:
        raise UsageError(
            f"{path} is not the model that version {contract.version} of action {contract.name} "
            f"was pinned to (sha256 {found}, wanted {wanted}): name the right file, "
            "or raise the version and pin it to this one"
        )
