"""The store as a build uses it: it owns the work folder, what is stored of it, and staged bytes.

`<exports area>/.datasets/<name>/` holds what a build is making: sorted runs of the manifest, and
generated files until the store has them. Whoever has the dataset's turn in the database empties it
first, so what a killed build left is gone with the next one. Nothing in it is the only copy of
anything that was acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

from base.config import find_config
from base.text import safe_text
from datasets.choice.choose import Cancelled, stop_if
from datasets.definition.errors import DatasetError, RefusedError
from datasets.freeze.manifest import ManifestWriter
from datasets.layout.face import DatasetRow, GeneratedFile
from fsd import Client, FsdError, check_relative_path, load_config

FOLDER = ".datasets"
SPOOL_SIZE_BYTES_MAX = 1 << 30
SPOOL_FILES_MAX = 1_000
"""Generated files are stored when so much, or so many, wait."""
REASONS_SHOWN_MAX = 5


class StoredObject(NamedTuple):
    """A file of ours that the store has."""

    path: str
    key: str
    size_bytes: int


class Work:
    """The work folder of one dataset, and the batches that what it stores belongs to."""

    def __init__(self, config_path: str, name: str, cancelled: Cancelled) -> None:
        config = load_config(find_config(config_path))
        self.client = Client(config.socket_path)
        self.folder = os.path.join(config.area_path("3d"), FOLDER, name)
        self.layout_folder = os.path.join(self.folder, "layout")
        self.batches: list[str] = []
        self._name, self._cancelled = name, cancelled
        self._spool = os.path.join(self.folder, "spool")
        self._waiting: list[StoredObject] = []
        self._stages = 0

    @contextmanager
    def opened(self) -> Generator[None]:
        """Begin with an empty folder, and remove it at the end."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.layout_folder, mode=0o700)
        os.makedirs(self._spool, mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- Generated files -------------------------------------------------------------------------

    def take(self, file: GeneratedFile, manifest: ManifestWriter) -> None:
        """Take a generated file over: it is stored sooner or later, at the latest by `flush`."""
        reason = check_relative_path(file.path)
        if reason is not None:
            raise RefusedError(f"the layout made {safe_text(file.path)}: {reason}")
        if os.path.islink(file.local_path) or not os.path.isfile(file.local_path):
            raise DatasetError(f"the layout made no file {safe_text(file.local_path)}")
        target = os.path.join(self._spool, file.path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(file.local_path, target)
        made = StoredObject(file.path, _key_of(target), os.path.getsize(target))
        manifest.add_object(made.path, made.key, made.size_bytes, None)
        self._waiting.append(made)
        waiting_bytes = sum(one.size_bytes for one in self._waiting)
        if waiting_bytes >= SPOOL_SIZE_BYTES_MAX or len(self._waiting) >= SPOOL_FILES_MAX:
            self.flush()

    def flush(self) -> None:
        """Store what waits, and remove it here."""
        if self._waiting:
            self._store(self._spool, self._waiting)
            shutil.rmtree(self._spool)
            os.makedirs(self._spool, mode=0o700)
            self._waiting = []

    def store(self, paths: Sequence[str]) -> list[StoredObject]:
        """Store files of the work folder; returns their keys, in this order."""
        full = [(path, os.path.join(self.folder, path)) for path in paths]
        files = [StoredObject(path, _key_of(name), os.path.getsize(name)) for path, name in full]
        self._store(self.folder, files)
        return files

    def _store(self, folder: str, files: list[StoredObject]) -> None:
        stop_if(self._cancelled)
        client = self.client
        # Named by what is in it: the same files again, after a crash, are the same batch.
        listed = "\n".join(sorted(f"{one.path}\0{one.key}" for one in files))
        batch = f"dataset-{self._name}-{hashlib.sha256(listed.encode()).hexdigest()[:16]}"
        paths = [one.path for one in files]
        job = client.wait(client.batch_write(folder, batch, "generated", paths).job_id)
        if job.state != "done" or job.result.get("failed") or job.result.get("skipped"):
            lines = (line for line in client.report(job.job_id) if line.get("reason"))
            reasons = [
                f"{safe_text(line['path'])}: {line['reason']}"
                for line in islice(lines, REASONS_SHOWN_MAX)
            ]
            said = "; ".join([job.error or job.state, *reasons])
            raise DatasetError(
                f"the store did not take all of {batch}: {said} (see `drystone health`, put "
                "that right and run it again)"
            )
        self.batches.append(batch)

    # ---- Bytes of rows ---------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: Sequence[DatasetRow]) -> Generator[Callable[[DatasetRow], str]]:
        """Make the bytes of rows readable in the stage area meanwhile; see `layout_face.Staged`."""
        stop_if(self._cancelled)
        self._stages += 1
        stage, layout = f"dataset-{self._name}", f"part-{self._stages}"
        # What a killed build left there may be something else.
        self._release(stage, layout)
        path = os.path.join(self.folder, "stage.jsonl")
        writer = ManifestWriter(self.folder)
        for row in rows:
            writer.add_object(row.key, row.key, row.size_bytes, row.node_id)
        writer.finish(path)
        answer = self.client.stage_to_3c(path, stage, layout)
        try:
            job = self.client.wait(answer.job_id)
            if job.state != "done":
                raise DatasetError(f"the files of a shard cannot be read: {job.error or job.state}")
            yield lambda row: os.path.join(answer.target_root, row.key)
        finally:
            self._release(stage, layout)

    def _release(self, stage: str, layout: str) -> None:
        job = self.client.wait(self.client.release_stage(stage, layout).job_id)
        if job.state != "done":
            raise FsdError(f"the stage {stage}/{layout} is not freed: {job.error or job.state}")


def _key_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
