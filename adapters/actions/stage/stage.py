"""Staging: it owns how a part of an action batch comes to lie in 3C, and how 3C is freed again.

The store makes the input folder (reserved, verified, sealed); the output folder beside it is the
store's too, with room reserved for what the program may write. Programs are run elsewhere.

    3c/<batch>/<layout>/<run>-<part>/           the inputs, read-only in spirit
    3c/<batch>/<layout>/<run>-<part>.output/    where the program writes
    3c/<batch>/<layout>/<run>-<part>.inputs     which input lies where, one JSON line each

Several actions have the same layout, and may run over one batch at a time: each run has its own
folders. A part that an earlier version staged lies in `<layout>-<part>`, and is run and freed
there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapters.actions.contract.contract import ActionContract, StageLayout
from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.contract.stage_context import parameter_fields
from adapters.actions.contract.stage_model import StagedPart, pack_inputs
from adapters.actions.contract.templates import render
from adapters.actions.stage.room import (
    limit_bytes,
    needed_bytes,
    never_fits,
    output_bytes_max,
)
from adapters.actions.stage.stage_manifest import manifest_file, scratch_prefix
from adapters.actions.stage.stage_tree import LaidOut, lay_out
from adapters.records.errors import AdapterError, SpaceError
from base.errors import UsageError
from fsd import QuotaError, SealedMismatchError

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.stage.parts import ActionPart
    from fsd import Client, MaterialiseAnswer, StageOutputAnswer
    from sql import Database

VIEW_APPEARS_S_MAX = 10.0
VIEW_POLL_S = 0.05
SEALED_NAME = "_SEALED"


def stage_part(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    action_batch_id: int,
    part: ActionPart,
    parameters: dict[str, Any],
    run_id: int | None = None,
) -> StagedPart:
    """Lay a part out and wait until it lies there; its output folder is empty then.

    Safe to call again: what lies there sealed with the same content stays. Raises SpaceError when
    the store has no room now (then nothing is left behind), UsageError when it never has it, or
    when the contract's templates lead two files to one place.
    """
    contract = loaded.contract
    if contract.stage_layout is None:
        raise UsageError(f"action {contract.name} ({contract.type}) stages nothing")
    values = checked_parameters(contract, parameters)
    layout_id = layout_of_part(contract.stage_layout, part.number, run_id)
    written_bytes = output_bytes_max(contract, part.size_bytes)
    needed = written_bytes
    _release_former_place(client, contract, action_batch_id, part.number)
    try:
        _wait_for_former(client, f"{action_batch_id}/{layout_id}")
        # The output first: without room for what comes of it, nothing is laid out or even asked.
        output = client.stage_output(str(action_batch_id), layout_id, written_bytes)
        laid = lay_out(database, contract, part.number, part.node_ids, values)
        sizes = (part.size_bytes, laid.staged_bytes, len(laid.entries))
        needed = needed_bytes(contract, *sizes)
        place = _Place(loaded, action_batch_id, part.number, layout_id)
        staged = _make(client, place, laid, output)
    except (QuotaError, UsageError) as error:
        if _is_there(client, action_batch_id, layout_id):
            release(client, action_batch_id, layout_id)
        if isinstance(error, UsageError):
            raise
        if reason := never_fits(needed, limit_bytes(client)):
            raise UsageError(f"part {part.number} never fits: {reason}") from None
        raise SpaceError(f"part {part.number} of action batch {action_batch_id}: {error}") from None
    empty_output(loaded, staged, values)
    return staged


@dataclass(frozen=True, slots=True)
class _Place:
    """What is staged where: a part of a batch, by a contract."""

    loaded: LoadedContract
    action_batch_id: int
    number: int
    layout_id: str

    @property
    def layout(self) -> StageLayout:
        """Return the layout, which a contract that is staged has."""
        assert self.loaded.contract.stage_layout is not None
        return self.loaded.contract.stage_layout


def _make(client: Client, place: _Place, laid: LaidOut, output: StageOutputAnswer) -> StagedPart:
    mode, layout_id = place.layout.mode, place.layout_id
    batch, folder = str(place.action_batch_id), os.path.dirname(output.path)
    _remove_beside(_path_of(client, place.action_batch_id, layout_id))
    about = provenance(place.loaded)
    with manifest_file(client, folder, os.path.basename(layout_id), laid) as manifest:
        try:
            answer = client.stage_to_3c(manifest, batch, layout_id, mode, provenance=about)
        except SealedMismatchError:
            # An earlier attempt staged what the database said then (a title, a parent), or for
            # another version of the contract.
            _release_stage(client, batch, layout_id)
            _wait_for_former(client, f"{batch}/{layout_id}")
            output = client.stage_output(batch, layout_id, output.reserved_bytes)
            answer = client.stage_to_3c(manifest, batch, layout_id, mode, provenance=about)
        listed = pack_inputs(laid.inputs)
        staged = _staged(place, laid, output, answer, hashlib.sha256(listed).hexdigest())
        # While the store copies. A crash leaves a list without a stage: the next call removes it.
        _write_inputs(staged.inputs_path, listed)
        job = client.wait(answer.job_id)
    if job.state != "done":
        raise AdapterError(
            f"the inputs of part {place.number} of action batch {batch} could not be staged "
            f"({job.state}): {job.error or 'see the report of job ' + job.job_id}"
        )
    if mode == "view":
        _wait_for_view(answer.target_root)
    return staged


def _staged(
    place: _Place,
    laid: LaidOut,
    output: StageOutputAnswer,
    answer: MaterialiseAnswer,
    inputs_sha256: str,
) -> StagedPart:
    return StagedPart(
        action_batch_id=place.action_batch_id,
        layout_id=place.layout_id,
        part=place.number,
        mode=place.layout.mode,
        input_root=answer.target_root,
        output_root=output.path,
        job_id=answer.job_id,
        manifest_key=answer.manifest_key,
        input_bytes=laid.input_bytes,
        staged_bytes=answer.expected_bytes,
        staged_files=answer.expected_files,
        output_bytes_max=output.reserved_bytes,
        inputs=len(laid.inputs),
        inputs_path=output.path.removesuffix(".output") + ".inputs",
        inputs_sha256=inputs_sha256,
        files=tuple(laid.inputs),
        left_out=tuple(laid.left_out),
    )


def layout_of_part(layout: StageLayout, number: int, run_id: int | None) -> str:
    """Return where a part lies below its batch; without a run, by its number alone."""
    return f"{layout.layout_id}/{number if run_id is None else f'{run_id}-{number}'}"


def provenance(loaded: LoadedContract) -> dict[str, str | int | None]:
    """Return what a stage is made for, as its `_JOB.json` tells: program, contract and model."""
    contract, spec = loaded.contract, loaded.contract.run_spec
    return {
        "action": contract.name,
        "action_id": contract.action_id,
        "contract_version": contract.version,
        "contract_sha256": loaded.digest,
        "program": spec.command[0] if spec else None,
        "image": spec.image if spec else None,
        "model": contract.model_sha256 or _pinned(contract),
    }


def _pinned(contract: ActionContract) -> str | None:
    """Return what stands in the place of one model file; the image's digest is with the image."""
    files = contract.pins.files if contract.pins else {}
    return " ".join(f"{name}={digest}" for name, digest in sorted(files.items())) or None


def empty_output(loaded: LoadedContract, staged: StagedPart, parameters: dict[str, Any]) -> None:
    """Empty the output folder and make the folders that the program wants to find in it.

    To be called before every attempt: what a former one left half written must not be read.
    """
    layout = loaded.contract.stage_layout
    _make_empty(staged.output_root)
    fields = {
        "part": staged.part,
        **parameter_fields(checked_parameters(loaded.contract, parameters)),
    }
    for template in layout.empty_folders if layout else ():
        path = os.path.join(staged.output_root, render(template, fields, path=True))
        os.makedirs(path, exist_ok=True)


def _make_empty(folder: str) -> None:
    # A program may have put a link in the place of its folder: where that leads is not ours.
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.lstat(folder).st_mode):
            os.unlink(folder)
    os.makedirs(folder, exist_ok=True)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def changed_input(staged: StagedPart) -> str | None:
    """Return an input that is not as it was sealed, or None: programs may work in place.

    By size and time of change: no byte is read.
    """
    if staged.mode == "view":
        return None
    try:
        sealed_ns = os.lstat(os.path.join(staged.input_root, SEALED_NAME)).st_mtime_ns
    except OSError:
        return SEALED_NAME
    for item in staged.files:
        try:
            status = os.lstat(os.path.join(staged.input_root, item.path))
        except OSError:
            return item.path
        now = (stat.S_ISREG(status.st_mode), status.st_size, status.st_mtime_ns <= sealed_ns)
        if now != (True, item.size_bytes, True):
            return item.path
    return None


def release_part(client: Client, staged: StagedPart) -> None:
    """Free what a part holds of 3C: inputs (or the view), outputs, reservation. Idempotent."""
    release(client, staged.action_batch_id, staged.layout_id)


def release_stage_of(
    client: Client,
    loaded: LoadedContract,
    action_batch_id: int,
    number: int,
    run_id: int | None = None,
) -> None:
    """Free what may have been made of a part that was never staged to its end. Idempotent."""
    layout = loaded.contract.stage_layout
    if layout is not None:
        release(client, action_batch_id, layout_of_part(layout, number, run_id))
        _release_former_place(client, loaded.contract, action_batch_id, number)


def _release_former_place(
    client: Client, contract: ActionContract, action_batch_id: int, number: int
) -> None:
    """Free what an attempt by an earlier version left half made of a part, where that put it.

    What is whole there stays: it may be that of another run, which frees it itself.
    """
    assert contract.stage_layout is not None
    layout_id = f"{contract.stage_layout.layout_id}-{number}"
    path, view = (
        _path_of(client, action_batch_id, layout_id),
        f"stage/{action_batch_id}/{layout_id}",
    )
    # The output folder was made first, and no other layout has one of this name.
    if not os.path.lexists(path + ".output") or os.path.lexists(os.path.join(path, SEALED_NAME)):
        return
    if all(one.name != view for one in client.views()):
        release(client, action_batch_id, layout_id)


def release(client: Client, action_batch_id: int, layout_id: str) -> None:
    """Free a stage by its name, which may be gone already. AdapterError when it cannot be."""
    _wait_for_former(client, f"{action_batch_id}/{layout_id}")
    _remove_beside(_path_of(client, action_batch_id, layout_id))
    _release_stage(client, str(action_batch_id), layout_id)


def _release_stage(client: Client, batch: str, layout_id: str) -> None:
    # Out of sight now; that its bytes are gone is waited for by who finds no room, or stages anew.
    job = client.release_stage(batch, layout_id)
    if job.state not in ("running", "done"):
        raise AdapterError(
            f"3c/{batch}/{layout_id} could not be released: {job.error or job.state}"
        )


def _path_of(client: Client, action_batch_id: int, layout_id: str) -> str:
    area = next(one.path for one in client.capacity().areas if one.area == "3c")
    return os.path.join(area, str(action_batch_id), layout_id)


def _is_there(client: Client, action_batch_id: int, layout_id: str) -> bool:
    """Whether anything of a stage lies in 3C, made by this attempt or by an earlier one."""
    path = _path_of(client, action_batch_id, layout_id)
    return any(os.path.lexists(path + suffix) for suffix in ("", ".output", ".inputs"))


def _remove_beside(path: str) -> None:
    """Remove what we put beside a stage, also what a killed attempt left half made."""
    for beside in (f"{path}.inputs", f"{path}.inputs.tmp"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
    folder, part = os.path.split(path)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.startswith(scratch_prefix(part)):
                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _wait_for_former(client: Client, name: str) -> None:
    """Let the jobs end that a killed attempt left in the engine: they write the same folder."""
    for job in client.jobs():
        if job.state == "running" and job.kind in ("stage", "release") and job.description == name:
            client.wait(job.job_id)


def _wait_for_view(root: str) -> None:
    deadline = time.monotonic() + VIEW_APPEARS_S_MAX
    while not os.path.isdir(root):
        if time.monotonic() > deadline:
            raise AdapterError(
                f"the view {root} does not appear: is the store mounted here (`drystone status`)?"
            )
        time.sleep(VIEW_POLL_S)


def _write_inputs(path: str, listed: bytes) -> None:
    with open(path + ".tmp", "wb") as file:
        file.write(listed)
    os.rename(path + ".tmp", path)
