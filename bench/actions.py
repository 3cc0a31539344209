"""UA_2 by its parts: what staging and reading the outputs of many small files costs.

    python -m bench.actions [--files 50000] [--folder DIR]

Makes small pictures, a store of four folders on one disk with two verified copies, and an embedded
PostgreSQL that syncs, all below DIR; then does each step of an action in this process, one part of
all files, with one record of a JSON Lines file and one CSV row for each. Beside it, in the same
run: the store's own export (`ExportTo3D`) of the same manifest. The goal: staging reaches 0.8 of
its files per second.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.actions import (
    StagedPart,
    begin_event,
    declare_contract,
    end_event,
    load_contract,
    make_batch,
    plan_parts,
    release_part,
    stage_part,
    take_outputs,
)
from adapters.actions.parse_outputs import parse_outputs
from adapters.actions.stage_manifest import manifest_file
from adapters.actions.stage_tree import lay_out
from adapters.batch_work import Signal
from adapters.ingest import ingest
from fsd import Client, daemon, init_store
from sql import Database, companion

SEED = 1
GOAL = 0.8
CONTRACT = """
contract: 1
action_id: 900
name: bench
type: AC2
version: 1
description: One record for each file
input_selector: {version: 1, where: {extension: png}}
stage_layout:
  layout_id: flat
  files: [{path: "in/{node.node_id}.png"}]
  listings: [{path: list.txt, format: txt, line: "{file.path}"}]
run_spec: {runner: shell, command: [/bin/true]}
output_parser:
  outputs:
    - name: sizes
      glob: sizes.jsonl
      format: jsonl
      input: {field: file, equals: stem}
      results: {size_bytes: size}
result_schema:
  size_bytes: {type: bigint, description: Size}
"""

T = TypeVar("T")


class Times(dict[str, float]):
    """Seconds by step, in the order in which they were taken."""

    def of(self, name: str, call: Callable[[], T]) -> T:
        begun = time.monotonic()
        result = call()
        self[name] = time.monotonic() - begun
        return result


def make_pictures(folder: str, files: int) -> None:
    chance = random.Random(SEED)
    for number in range(files):
        place = os.path.join(folder, f"{number // 1000:03d}")
        os.makedirs(place, exist_ok=True)
        body = chance.randbytes(chance.randrange(1_000, 8_000))
        with open(os.path.join(place, f"{number}.png"), "wb") as file:
            # Whole to whoever looks at its ends.
            file.write(b"\x89PNG\r\n\x1a\n" + body + b"\0\0\0\0IEND\xaeB`\x82")


def program(staged: StagedPart) -> None:
    """What the action's program would do."""
    with open(os.path.join(staged.output_root, "sizes.jsonl"), "w", encoding="ascii") as file:
        for item in staged.files:
            stem = os.path.splitext(os.path.basename(item.path))[0]
            size = os.stat(os.path.join(staged.input_root, item.path)).st_size
            file.write(json.dumps({"file": stem, "size": size}) + "\n")


def export(client: Client, manifest: str, name: str) -> None:
    answer = client.export_to_3d(manifest, "bench", name)
    job = client.wait(answer.job_id)
    assert job.state == "done", job


def measure(root: str, database: Database, client: Client) -> tuple[Times, int]:
    """Do the steps of the action; returns their times and the number of files."""
    folder = os.path.join(root, "contract")
    os.makedirs(folder)
    with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
        file.write(CONTRACT)
    loaded, times = load_contract(folder), Times()
    declare_contract(database, loaded)
    batch = times.of("select and seal", lambda: make_batch(database, None, contract=loaded))
    event = begin_event(database, loaded, batch, run_id=1, parameters={})
    (part,) = times.of("plan", lambda: plan_parts(database, loaded, batch, {}))
    laid = times.of(
        "of the stage: layout on paper",
        lambda: lay_out(database, loaded.contract, part.number, part.node_ids, {}),
    )
    area = next(one.path for one in client.capacity().areas if one.area == "3c")
    with manifest_file(client, area, "before", laid) as manifest:
        times.of("store's own export, before", lambda: export(client, manifest, "before"))
    staged = times.of("stage", lambda: stage_part(client, database, loaded, batch, part, {}))
    times.of("store's own export, after", lambda: export(client, staged.manifest_key, "after"))
    times.of("program", lambda: program(staged))
    extensions = database.file_extensions()
    times.of(
        "of the hand-off: parse",
        lambda: parse_outputs(
            loaded.contract, staged.files, staged.input_root, staged.output_root, extensions
        ),
    )
    report = times.of(
        "hand-off",
        lambda: take_outputs(
            client, database, loaded, staged, action_event_id=event, part=part.number,
            parameters={}, run_id=1, exit_state="done",
        ),
    )  # fmt: skip
    assert report.state == "done" and report.results == len(part.node_ids), report
    times.of("release", lambda: release_part(client, staged))
    assert end_event(database, event) == "done"
    return times, len(part.node_ids)


def main() -> None:
    parser = argparse.ArgumentParser(description="What staging and parsing of an action cost")
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--folder")
    given = parser.parse_args()
    root = tempfile.mkdtemp(prefix="ds-", dir=given.folder)
    disks = [os.path.join(root, f"d{number}") for number in range(4)]
    config = init_store(root, disks, None, min_free_bytes=1 << 20)
    path = os.path.join(root, "drystone.toml")
    daemon.start_engine(config, path)
    companion.start(path)
    try:
        inbox = os.path.join(config.area_path("3a"), "pictures")
        make_pictures(inbox, given.files)
        with Database.open(path) as database:
            signal = Signal(inbox, "pictures", "plain-folder", "bench")
            ingest(path, signal, database=database)
            times, files = measure(root, database, Client(config.socket_path))
    finally:
        companion.stop(path)
        daemon.stop_engine(config)
        shutil.rmtree(root, ignore_errors=True)
    exports = [name for name in times if name.startswith("store's")]
    own = (*exports, "program")
    ours_s = sum(s for name, s in times.items() if name not in own and not name.startswith("of "))
    print(f"{files:,} files; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, seconds in times.items():
        share = "" if name in own else f"{seconds / ours_s:6.0%}"
        print(f"{name:32} {seconds:8.2f} s {files / seconds:12,.0f} files/s {share}")
    # The faster of the two: what was written just before slows down whoever comes next.
    reached = min(times[name] for name in exports) / times["stage"]
    print(f"staging reaches {reached:.2f} of the store's own export (goal {GOAL})")


if __name__ == "__main__":
    main()
