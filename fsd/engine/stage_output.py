"""Folders of the stage (3C) that programs write into, and giving a stage back when it is done.

It owns `3c/<id>/<layout>.output/` (of a part: `3c/<id>/<layout>/<part>.output/`): a folder with
room reserved for it, whose reservation outlives the engine (a record in 3c/.outputs, taken up again
at the start). What somebody writes there is
counted once, because every measurement of the area counts it against the reservation. It never
looks at what the files are.

A release is answered when the stage is out of sight, and its job is done when the bytes are gone
(`fsd.export.stage_trash`). Until then these, and the reservation of the output, count; who finds no
room meanwhile waits for that.
"""

import contextlib
import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from base.errors import UsageError
from fsd.disks.seal import TEMPORARY_FOLDER, begun_folder
from fsd.documents.models import StageOutputRequest
from fsd.engine.engine import Engine
from fsd.export import materialise
from fsd.export.stage_trash import Load, Trash
from fsd.format.errors import FsdError, NotFoundError, QuotaError
from fsd.format.paths import check_identifier, check_layout
from fsd.store.job import Job
from fsd.store.ssd.areas import Areas, Reservation

AREA = "3c"
OUTPUT_SUFFIX = ".output"
RECORDS_FOLDER = ".outputs"
CANCEL_LOOK_S = 0.5


def release_stage(engine: Engine, outputs: "StageOutputs", target_id: str, layout_id: str) -> Job:
    """Remove a stage with its output: out of sight on return, and the job ends with the bytes."""
    _check(target_id, layout_id)
    materialise.refuse_nested(engine.store, "stage", target_id, layout_id)

    def work(job: Job) -> dict[str, Any]:
        with contextlib.suppress(NotFoundError):
            materialise.unpublish(engine.store, "stage", target_id, layout_id)
        load, removed = outputs.release(target_id, layout_id)
        job.phase = "removing"
        job.ready.set()
        # Who stops the engine, or cancels, does not stop the removal: only this waits for it.
        while not load.finished.wait(CANCEL_LOOK_S):
            job.check()
        if load.problems:
            raise FsdError(load.problems[0])
        return {"removed": removed}

    name = f"{target_id}/{layout_id}"
    # The subject is that of a stage: nothing is removed that is being written.
    job = engine.start_job(
        materialise.RELEASE, name, work, subject=f"stage/{name}", needs_index=False
    )
    job.ready.wait()
    return job


class StageOutputs:
    """The output folders of an area and their reservations. Thread-safe.

    `on_problem` is told what was released and cannot be removed.
    """

    def __init__(
        self,
        areas: Areas,
        on_problem: Callable[[str], None] = lambda _text: None,
        share: Callable[[Path], None] = lambda _folder: None,
    ) -> None:
        self._share = share
        self._areas = areas
        self._root = areas.paths[AREA]
        self._records = self._root / RECORDS_FOLDER
        self._records.mkdir(exist_ok=True)
        # Guards `_held`, the records and the folders. Before the locks of `Trash` and `Areas`.
        self._lock = threading.Lock()
        self._held: dict[str, Reservation] = {}
        self._take_up()
        self.trash = Trash(self._root / TEMPORARY_FOLDER, on_problem, self._measure)
        areas.make_room = self.trash.wait

    def folder(self, target_id: str, layout_id: str) -> Path:
        """Return the output folder of a stage, which need not be there."""
        return self._root / target_id / (layout_id + OUTPUT_SUFFIX)

    def open(self, request: StageOutputRequest) -> Reservation:
        """Reserve room and make the folder; again it returns what is reserved already.

        Raises QuotaError, and then nothing was made. A folder that is there is kept as it is.
        """
        _check(request.target_id, request.layout_id)
        try:
            return self._open(request)
        except QuotaError:
            # Without the lock: others may open and release meanwhile.
            if not self.trash.wait():
                raise
        return self._open(request)

    def _open(self, request: StageOutputRequest) -> Reservation:
        with self._lock:
            held = self._hold(request)
            # Barrier: the record before the folder. A crash between them leaves a reservation that
            # the same call finds again; the other way round a folder would fill without one.
            record = self._record(request.target_id, request.layout_id)
            temporary = record.with_suffix(".tmp")
            temporary.write_text(request.model_dump_json(), encoding="utf-8")
            temporary.rename(record)
            folder = self.folder(request.target_id, request.layout_id)
            folder.mkdir(parents=True, exist_ok=True)
            self._share(folder)
            self._areas.watch(held.id, folder)
            return held

    def release(self, target_id: str, layout_id: str) -> tuple[Load, int]:
        """Put inputs, outputs and what is half made of them away; returns how many were whole too.

        On return none of them is in sight, and the same stage may be made again.
        """
        with self._lock:
            final = self._root / target_id / layout_id
            half_made = begun_folder(final, self._root)
            held = self._held.pop(f"{target_id}/{layout_id}", None)
            places = [final, self.folder(target_id, layout_id), half_made]
            # What a program removed itself is measured too: it would count until the next walk.
            always = held is not None
            load = self.trash.take(places, lambda: self._give_back(held), always=always)
            record = self._record(target_id, layout_id)
            for name in (record, record.with_suffix(".tmp")):
                name.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # Other parts, or stages of the batch, lie there.
                for parent in final.parents:
                    if parent == self._root:
                        break
                    parent.rmdir()
            return load, sum(place != half_made for place in load.there)

    def _give_back(self, held: Reservation | None) -> None:
        # In this order what is left, if something could not be removed, counts all the time.
        self._measure()
        if held is not None:
            self._areas.release(held.id)

    def _measure(self) -> None:
        if self._areas.quotas[AREA]:
            self._areas.measure(AREA)

    def _hold(self, request: StageOutputRequest) -> Reservation:
        name = f"{request.target_id}/{request.layout_id}"
        held = self._held.get(name)
        if held is None or held.size_bytes < request.size_bytes:
            if held is not None:
                self._areas.release(self._held.pop(name).id)
            size_bytes, files = request.size_bytes, request.files
            held = self._areas.reserve(AREA, f"output of {name}", size_bytes, files, patient=False)
            self._held[name] = held
        return held

    def _take_up(self) -> None:
        """Reserve again what was reserved before the engine stopped."""
        for record in sorted(self._records.glob("*.json")):
            try:
                request = StageOutputRequest.model_validate_json(record.read_bytes())
                _check(request.target_id, request.layout_id)
                self._open(request)
            except (ValueError, UsageError):
                record.unlink()
            except QuotaError:
                # The program may be writing; its bytes count as used all the same. The next call
                # for this output asks for the room again.
                continue

    def _record(self, target_id: str, layout_id: str) -> Path:
        # No identifier has a comma, so no two stages share a name; a long one is told by its hash.
        name = f"{target_id},{layout_id}".replace("/", ",")
        if len(os.fsencode(name)) > 200:
            name = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        return self._records / f"{name}.json"


def _check(target_id: str, layout_id: str) -> None:
    reasons = {
        target_id: check_identifier(target_id),
        layout_id: check_layout(layout_id) or check_layout(layout_id + OUTPUT_SUFFIX),
    }
    for name, reason in reasons.items():
        if reason:
            raise UsageError(f"the id {name!r} is refused: {reason}")
    if layout_id.endswith(OUTPUT_SUFFIX):
        raise UsageError(f"a layout's id does not end with {OUTPUT_SUFFIX}")
