"""UA_2 by its parts: what staging and reading the outputs of many small files costs.

    python -m bench.actions [--files 50000] [--rounds 4] [--sidecars]
                            [--outputs lines|files|children] [--folder DIR] [--json]

Makes small pictures, a store and a database below DIR; then does each step of an action in this
process, one part of all files, `--rounds` times, with a layout of its own each time. Beside every
stage, in turn before and after it: the store's own export (`ExportTo3D`) of a manifest of the same
files, which is on paper before its clock starts; both make a manifest that the store has not seen.
Told are medians. The goal: staging reaches 0.8 of the files per second of the export.

`--outputs` is what the program leaves: one JSON Lines file, a JSON file for each input, or a child
for each. Every round but the first replaces the results of the one before. A release is done when
the stage is out of sight; until its bytes are gone, which nobody waits for, is told beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

from adapters.actions import (
    ActionPart,
    StagedPart,
    begin_event,
    declare_contract,
    end_event,
    make_batch,
    plan_parts,
    release_part,
    stage_part,
    take_outputs,
)
from adapters.actions.outputs.parse_outputs import parse_outputs
from adapters.actions.stage.stage_manifest import manifest_file
from adapters.actions.stage.stage_tree import lay_out
from bench.actions.world import Clock, World, program, world

GOAL = 0.8
EXPORT_PART = 1_000_000
"""Of the listings of exports: so that the store has not seen their manifests."""

OURS = ("select and seal", "plan", "stage", "hand-off", "release")
"""The steps that a run waits for, one after the other; the program's own time is not ours."""


def export(world: World, clock: Clock, number: int, part: ActionPart) -> None:
    """The store's own export of the same files."""
    contract, client = world.loaded.contract, world.client
    laid = clock.of(
        "stage: layout on paper",
        lambda: lay_out(world.database, contract, EXPORT_PART + number, part.node_ids, {}),
    )
    area = next(one.path for one in client.capacity().areas if one.area == "3c")

    def run() -> None:
        answer = client.export_to_3d(manifest, "bench", str(number))
        job = client.wait(answer.job_id)
        assert job.state == "done", job

    with manifest_file(client, area, f"export-{number}", laid) as manifest:
        clock.of("store's own export", run)


def stage(world: World, clock: Clock, batch: int, part: ActionPart) -> StagedPart:
    waited_s = world.client.waited_s
    staged = clock.of(
        "stage", lambda: stage_part(world.client, world.database, world.loaded, batch, part, {})
    )
    clock.add("stage: waiting for the store", world.client.waited_s - waited_s)
    return staged


def take(world: World, clock: Clock, batch: int, staged: StagedPart) -> None:
    """The program, and the hand-off of what it wrote."""
    database, loaded, number = world.database, world.loaded, staged.part
    event = begin_event(database, loaded, batch, run_id=number, parameters={})
    clock.of("(the program)", lambda: program(world, staged))
    extensions = database.file_extensions()
    clock.of(
        "hand-off: parse",
        lambda: parse_outputs(
            loaded.contract, staged.files, staged.input_root, staged.output_root, extensions
        ),
    )
    waited_s = world.client.waited_s
    name = "hand-off, replacing" if number and world.outputs != "children" else "hand-off"
    report = clock.of(
        name,
        lambda: take_outputs(
            world.client, database, loaded, staged, action_event_id=event, part=number,
            parameters={}, run_id=number, exit_state="done",
        ),
    )  # fmt: skip
    clock.add("hand-off: waiting for the store", world.client.waited_s - waited_s)
    assert report.state == "done" and report.results + report.children == len(staged.files), report
    assert end_event(database, event) == "done"


def release(world: World, clock: Clock, staged: StagedPart) -> None:
    begun = time.monotonic()
    clock.of("release", lambda: release_part(world.client, staged))
    for job in world.client.jobs():
        if job.kind == "release":
            assert world.client.wait(job.job_id).state == "done"
    clock.add("(until its bytes are gone)", time.monotonic() - begun)


def measure(world: World, rounds: int) -> tuple[Clock, int]:
    """Do the steps of the action; returns their times and the number of files."""
    clock, database, loaded = Clock(), world.database, world.loaded
    declare_contract(database, loaded)
    batch = clock.of("select and seal", lambda: make_batch(database, None, contract=loaded))
    (part,) = clock.of("plan", lambda: plan_parts(database, loaded, batch, {}))
    parts: list[StagedPart] = []
    for number in range(rounds):
        mine = part.model_copy(update={"number": number})
        if number % 2 == 0:
            export(world, clock, number, part)
        parts.append(stage(world, clock, batch, mine))
        if number % 2 == 1:
            export(world, clock, number, part)
    for staged in parts:
        take(world, clock, batch, staged)
    # At the end: a file system that frees many files is slow to make others.
    for staged in parts:
        release(world, clock, staged)
    return clock, len(part.node_ids)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.actions", description="What staging and parsing of an action cost"
    )
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--sidecars", action="store_true", help="a JSON file beside each picture")
    parser.add_argument("--outputs", choices=("lines", "files", "children"), default="lines")
    parser.add_argument("--folder")
    parser.add_argument("--json", action="store_true", help="one line of JSON, no table")
    given = parser.parse_args()
    with world(given.folder, given.files, given.outputs, sidecars=given.sidecars) as made:
        clock, files = measure(made, given.rounds)
    medians = {name: statistics.median(taken) for name, taken in clock.seconds.items()}
    ratio = medians["store's own export"] / medians["stage"]
    # On a machine with other work the fastest rounds say more than the medians.
    best = min(clock.seconds["store's own export"]) / min(clock.seconds["stage"])
    ours_s = sum(medians[name] for name in OURS)
    if given.json:
        document = {
            "files": files,
            "load": os.getloadavg()[0],
            "seconds": clock.seconds,
            "share": {name: medians[name] / ours_s for name in OURS},
            "stage_per_export": ratio,
            "stage_per_export_fastest": best,
            "goal": GOAL,
        }
        print(json.dumps(document))
        return
    print(f"{files:,} files, medians; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, seconds in medians.items():
        share = f"{seconds / ours_s:6.0%}" if name in OURS else ""
        spread = f"{min(clock.seconds[name]):.2f}-{max(clock.seconds[name]):.2f}"
        rate = f"{files / seconds:12,.0f} files/s" if seconds else ""
        print(f"{name:32} {seconds:8.2f} s {rate:20} {share:>6}  {spread}")
    print(
        f"staging reaches {ratio:.2f} of the store's own export (goal {GOAL}; fastest {best:.2f})"
    )
