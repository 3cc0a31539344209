"""What the demo shows of work on the data: it owns the chapter after the scrapes have come in.

An action is carried out by workers over the pictures of one scrape, and a dataset is built of what
it made, exported, and read by a loader. Everything is imported when it runs: the front door loads
this module for every command.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.runs.control import RunControl
    from sql import Database, Run

BATCH = "artists"
WAIT_S_MAX = 300.0
POLL_S = 0.1
ACTIVE = ("queued", "running", "waiting")
ACTION: dict[str, Any] = {
    "action": "image_variants",
    "selector": {"version": 1, "where": {"extension": "png", "ingest_batch": BATCH}},
    "parameters": {"sizes": "128x128"},
}
DATASET: dict[str, Any] = {
    "version": 1,
    "name": "who-drew-it",
    "description": "Small copies of the drawings, by the person who drew them",
    "selector": {
        "version": 1,
        "where": {"parent": {"relationship": "variant", "where": {"ingest_batch": BATCH}}},
    },
    "labels": {"from": {"tree": {"ancestor": "openclipart:username", "within": 4}}},
    "splits": {"fractions": {"train": 0.8, "test": 0.2}, "missing_class": "allow"},
    "layout": "imagefolder",
}


def chapter(demo: Any) -> None:
    """Run an action over the sample scrape, and build a dataset of its children."""
    from jobs.runs.control import RunControl
    from jobs.services.jobs_companion import companion
    from sql import Database

    config_path = os.path.join(demo.work, "drystone.toml")
    with Database.open(config_path) as database:
        if not any(batch.name == BATCH for batch in database.ingests.batches()):
            return  # There were no samples to ingest.
        companion.start(config_path, _say)
        control = RunControl(config_path, database)
        _act(demo, database, control)
        _make_dataset(demo, database, control)


def _act(demo: Any, database: Database, control: RunControl) -> None:
    title = "Let workers make small copies of the PNGs (AC4: children, with lineage)"
    with demo.step(title) as step:
        run = _carried_out(database, control, "ua_2", ACTION)
        results = [one.result for one in database.runs.results(run.run_id, "apply") if one.result]
        step.files = sum(result["children"] for result in results)
        step.size_bytes = sum(result["children_bytes"] for result in results)
        step.ok = run.state == "done" and step.files > 0
        step.note = f"run {run.run_id} is {run.state}: {run.reason or 'every input has its child'}"


def _make_dataset(demo: Any, database: Database, control: RunControl) -> None:
    title = "Build a dataset of them by the artist, split without leaks, and export it"
    with demo.step(title) as step:
        run = _carried_out(database, control, "ua_3", {"definition": DATASET})
        built = database.runs.result_of(run.run_id, "build", 0) or {}
        sealed = database.runs.result_of(run.run_id, "export", 0) or {}
        step.ok = run.state == "done"
        step.files, step.size_bytes = built.get("files", 0), built.get("size_bytes", 0)
        step.note = f"run {run.run_id} is {run.state}: {run.reason or sealed.get('target_root')}"
    for line in _splits_text(built.get("report", {})):
        _say(f"    {line}")
    if sealed:
        _load(demo, sealed["target_root"])


def _splits_text(report: dict[str, Any]) -> list[str]:
    """Return the class x split table, and what it says of leaks."""
    if not report:
        return []
    splits = list(report["splits"])
    lines = [f"{'':<28}" + "".join(f"{split:>8}" for split in splits)]
    lines += [
        f"{name:<28.28}" + "".join(f"{counts.get(split, 0):>8,}" for split in splits)
        for name, counts in report["classes"].items()
    ]
    matrices = report["leakage"].values()
    leaks = sum(
        count
        for matrix in matrices
        for place, row in enumerate(matrix)
        for other, count in enumerate(row)
        if other != place
    )
    return [*lines, f"groups with members in two splits: {leaks}"]


def _load(demo: Any, root: str) -> None:
    """Read the tree as torchvision's ImageFolder does: a class is a folder of a split."""
    from PIL import Image

    with demo.step("Read it with a loader: every picture, decoded") as step:
        classes: Counter[str] = Counter()
        for folder, _, names in os.walk(os.path.join(root, "train")):
            for name in names:
                with Image.open(os.path.join(folder, name)) as image:
                    image.load()
                classes[os.path.basename(folder)] += 1
        step.files, step.ok = classes.total(), len(classes) > 1
        step.note = ", ".join(f"{name} {count}" for name, count in classes.most_common(3)) + " ..."


def _carried_out(
    database: Database, control: RunControl, workflow: str, parameters: dict[str, Any]
) -> Run:
    from jobs.core.errors import JobsError

    run, _ = control.start(workflow, parameters, requested_by="demo")
    deadline = time.monotonic() + WAIT_S_MAX
    while run.state in ACTIVE:
        if time.monotonic() > deadline:
            raise JobsError(f"run {run.run_id} is still {run.state}; see `drystone run show`")
        time.sleep(POLL_S)
        run = database.runs.run(run.run_id)
    return run


def _say(line: str) -> None:
    from base.output import say

    say(line)
