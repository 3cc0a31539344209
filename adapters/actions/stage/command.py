"""The exact command of a part: it owns the rendering of a run_spec, and runs nothing."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.contract.stage_context import parameter_fields
from adapters.actions.contract.templates import PLACE, render
from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.stage_model import StagedPart


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


def rendered_command(
    loaded: LoadedContract,
    staged: StagedPart,
    parameters: dict[str, Any],
    model_path: str = "",
    run_id: int | None = None,
) -> RenderedRun:
    """Return the command of a staged part.

    Every program is told its place (PLACE) in its environment, whether its templates ask for it or
    not. Without a run, or a batch, the words RUN and BATCH stand for their numbers.
    `model_path` is where the model file of an action lies that is pinned to one (see
    `checked_model`); UsageError when it is missing.
    """
    contract, spec = loaded.contract, loaded.contract.run_spec
    if spec is None:
        raise UsageError(f"action {contract.name} ({contract.type}) runs no program")
    if contract.model_sha256 and not model_path:
        raise UsageError(
            f"action {contract.name} needs its model file: name it in drystone.toml, "
            f'[actions.models] {contract.name} = "FILE"'
        )
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
        "model": model_path,
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
    )


def checked_model(loaded: LoadedContract, models: dict[str, str]) -> str:
    """Return the path of the contract's model file, "" when it needs none; UsageError when the
    file is not there or is not the one that this version is pinned to."""
    contract = loaded.contract
    if not contract.model_sha256:
        return ""
    path = models.get(contract.name, "")
    if not path:
        raise UsageError(
            f"action {contract.name} needs its model file: name it in drystone.toml, "
            f'[actions.models] {contract.name} = "FILE"'
        )
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the model of action {contract.name} cannot be read: {path}: {error.strerror}"
        ) from None
    if found != contract.model_sha256:
        raise UsageError(
            f"{path} is not the model that version {contract.version} of action {contract.name} "
            f"was pinned to (sha256 {found}, wanted {contract.model_sha256}): name the right file, "
            "or raise the version and pin it to this one"
        )
    return path
