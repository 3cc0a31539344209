"""What the demo does, step by step: it owns the steps and their figures, not their set-up.

Every step measures its wall time. A step that finds something not as promised says so and marks the
demo as failed, and the demo goes on: the rest is worth seeing.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from base.output import say
from base.text import count_text, duration_text, size_text
from fsd.cli.demo.demo_files import Comparison, compare, list_tree
from fsd.fixture import disks as demo_disks
from fsd.format.errors import FsdError
from fsd.operations.progress import Progress

if TYPE_CHECKING:
    from fsd.client.client import Client
    from fsd.disks.config import Config
    from fsd.documents.models import BatchFile, DiskStatus, ExportMode, JobStatus, MaterialiseAnswer

BATCH = "demo"
EXPORT_ID = "demo"
SEED = 1
HEADS_MAX = 500
"""So many files are asked for their number of copies, one request each."""


@dataclass(slots=True)
class Step:
    """One line of the table at the end."""

    title: str
    files: int = 0
    size_bytes: int = 0
    duration_s: float = 0.0
    note: str = ""
    ok: bool = True


@dataclass(slots=True)
class Demo:
    """A demo that is running: where it is, what it stores, and what has happened so far."""

    work: str
    source: str
    files: list[str] | None
    loop: bool
    config: Config
    client: Client
    mounted: bool
    gui: bool = True
    """Whether the pages may be started; the last lines then say where they are."""
    closing: list[str] = field(default_factory=list[str])
    """What a chapter wants to be read at the very end."""
    steps: list[Step] = field(default_factory=list[Step])
    stored: list[BatchFile] = field(default_factory=list["BatchFile"])
    half: list[BatchFile] = field(default_factory=list["BatchFile"])
    skipped: Counter[str] = field(default_factory=Counter[str])

    def half_paths(self) -> list[str]:
        """Return the paths of the half that is exported."""
        return [file.path for file in self.half]

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Announce a step, time it and add it to the table; the caller fills its figures in."""
        say(f"\n{title}")
        step = Step(title)
        begun = time.monotonic()
        yield step
        step.duration_s = time.monotonic() - begun
        self.steps.append(step)
        say(f"  {_told(step)}")


def _told(step: Step) -> str:
    parts = [count_text(step.files, "file")] if step.files else []
    parts += [size_text(step.size_bytes)] if step.size_bytes else []
    parts.append(f"in {duration_text(step.duration_s)}")
    if step.note:
        parts.append(f"- {step.note}")
    return " ".join(parts)


def _wait(demo: Demo, job_id: str) -> JobStatus:
    progress = Progress()
    try:
        job = demo.client.wait(job_id, progress)
    finally:
        progress.close()
    if job.state in ("failed", "cancelled"):
        raise FsdError(f"the {job.kind} {job.state}: {job.error or 'no reason given'}")
    return job


def store(demo: Demo) -> None:
    """Store the source as a batch."""
    copies = demo.config.store.copies_raw
    with demo.step(f"Store {demo.source}: {copies} verified copies of every file") as step:
        job = demo.client.batch_write(demo.source, BATCH, "raw", demo.files)
        _wait(demo, job.job_id)
        for line in demo.client.report(job.job_id):
            if line["status"] in ("skipped", "failed"):
                demo.skipped[str(line["reason"])] += 1
        demo.stored = list(demo.client.batch_files(BATCH))
        step.files = len(demo.stored)
        step.size_bytes = sum(file.size_bytes for file in demo.stored)
    for reason, count in demo.skipped.most_common(5):
        say(f"  skipped {count:,}: {reason}")
    if not demo.stored:
        raise FsdError(f"nothing of {demo.source} could be stored")
    demo.stored.sort(key=lambda file: os.fsencode(file.path))
    chosen = random.Random(SEED).sample(demo.stored, max(1, len(demo.stored) // 2))
    demo.half = sorted(chosen, key=lambda file: os.fsencode(file.path))


def browse(demo: Demo) -> None:
    """List the batch in the mount."""
    folder = os.path.join(demo.config.mount, "batches", BATCH)
    with demo.step(f"Browse it in the mount: {os.path.relpath(folder)}") as step:
        step.files, first = list_tree(folder)
        step.ok = step.files == len(demo.stored)
        if not step.ok:
            step.note = f"expected {len(demo.stored):,} files"
    for path in first:
        say(f"    {path}")


def export_copy(demo: Demo, layout_id: str, title: str) -> None:
    """Export the half as files on the SSD, and compare them."""
    with demo.step(title) as step:
        answer = _export(demo, layout_id, "copy")
        _wait(demo, answer.job_id)
        step.files, step.size_bytes = answer.expected_files, answer.expected_bytes
    with demo.step(f"Compare {layout_id} with the source, byte for byte") as step:
        _judge(step, compare(demo.source, answer.target_root, demo.half_paths()))


def export_view(demo: Demo) -> None:
    """Export the same manifest as a view, and compare it when it can be mounted here."""
    with demo.step("Publish the same half as a view: no bytes are moved") as step:
        answer = _export(demo, "view", "view")
        _wait(demo, answer.job_id)
        step.files = answer.expected_files
    if demo.mounted:
        with demo.step("Compare the view with the source, byte for byte") as step:
            _judge(step, compare(demo.source, _view(demo), demo.half_paths()))


def _export(demo: Demo, layout_id: str, mode: ExportMode) -> MaterialiseAnswer:
    path = os.path.join(demo.work, "half.jsonl")
    with open(path, "w", encoding="ascii") as file:
        for entry in demo.half:
            file.write(json.dumps({"path": entry.path, "key": entry.key}) + "\n")
    # Real folders hold names that differ only in case; this machine's filesystem takes them.
    return demo.client.export_to_3d(path, EXPORT_ID, layout_id, mode, allow_case_collisions=True)


def _view(demo: Demo) -> str:
    return os.path.join(demo.config.mount, "exports", EXPORT_ID, "view")


def _judge(step: Step, found: Comparison) -> None:
    step.files, step.size_bytes = found.files, found.size_bytes
    step.ok = found.different_count == 0
    step.note = "all equal" if step.ok else f"{found.different_count:,} NOT EQUAL"
    for line in found.different:
        say(f"  {line}")


def kill_a_disk(demo: Demo) -> DiskStatus:
    """Kill the disk that holds the most; returns what it was."""
    victim = max(demo.client.disks(), key=lambda disk: (disk.stored_bytes, disk.shards))
    with demo.step(f"Kill disk {victim.name}") as step:
        demo_disks.kill(victim.path, demo.loop)
        how = "every access is an I/O error" if demo.loop else "its files are emptied and deleted"
        step.note = f"{victim.shards:,} shards, {size_text(victim.stored_bytes)} gone: {how}"
    return victim


def read_degraded(demo: Demo, victim: DiskStatus) -> None:
    """Show that the half is still there: through the mount, and as a second export."""
    if demo.mounted:
        with demo.step(f"Compare the view again, without {victim.name}") as step:
            _judge(step, compare(demo.source, _view(demo), demo.half_paths(), uncached=True))
    export_copy(demo, "copy-2", f"Export the half once more, without {victim.name}")
    _count_copies(demo, "Count the copies")


def rebuild(demo: Demo, victim: DiskStatus) -> None:
    """Bring the copies back on the disks that are left."""
    shards, stored_bytes = _held(demo, victim)
    with demo.step(f"Rebuild what was on {victim.name} onto the other disks") as step:
        job = _wait(demo, demo.client.rebuild(victim.disk_id).job_id)
        step.ok = job.state == "done"
        # Not the job's own figures: as soon as a disk is declared gone, copies are also made for
        # it in the background, and the job finds them done.
        shards_after, stored_bytes_after = _held(demo, victim)
        step.size_bytes = stored_bytes_after - stored_bytes
        step.note = job.error or f"{shards_after - shards:,} shards copied"
    if not _count_copies(demo, "Count the copies again"):
        demo.steps[-1].ok = False


def _held(demo: Demo, victim: DiskStatus) -> tuple[int, int]:
    """Return shards and bytes on all disks but one."""
    others = [disk for disk in demo.client.disks() if disk.disk_id != victim.disk_id]
    return sum(disk.shards for disk in others), sum(disk.stored_bytes for disk in others)


def _count_copies(demo: Demo, title: str) -> bool:
    """Ask for the copies of some files; tells whether all of them have their full number."""
    keys = sorted({file.key for file in demo.half})
    asked = random.Random(SEED).sample(keys, min(HEADS_MAX, len(keys)))
    with demo.step(title) as step:
        heads = [demo.client.head(key) for key in asked]
        whole = sum(head.copies >= head.copies_target for head in heads)
        step.files = len(heads)
        step.note = f"{whole:,} of {len(heads):,} have {demo.config.store.copies_raw}"
    return whole == len(heads)


def verify(demo: Demo) -> None:
    """Read every copy back from the disks and check it."""
    with demo.step("Verify every copy on every disk") as step:
        job = _wait(demo, demo.client.verify().job_id)
        problems = sum(1 for _ in demo.client.report(job.job_id))
        step.files, step.size_bytes = job.result.get("objects", 0), job.done_bytes
        step.ok = job.state == "done" and problems == 0
        step.note = "no problems" if step.ok else f"{problems:,} problems"
