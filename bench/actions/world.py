"""What the bench of actions works on: it owns the pictures, the contract, the program, the clock.

Nothing is measured here. The store has four folders on one disk, two verified copies of each
picture; the database is an embedded PostgreSQL that syncs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from adapters.actions import LoadedContract, StagedPart, load_contract
from adapters.ingest.ingest import ingest
from adapters.work.batch_work import Signal
from fsd import Client
from fsd.cli.daemons import daemon
from fsd.engine.setup import init_store
from fsd.fixture.corpus import even_sizes, write_files
from sql import Database, companion

SEED = 1
Outputs = Literal["lines", "files", "children"]

_CONTRACT = """
contract: 1
action_id: 900
name: bench
type: {type}
version: 1
description: One record for each file
input_selector: {{version: 1, where: {{extension: png}}}}
{parameters}stage_layout:
  layout_id: flat
  files: [{{path: "in/{{node.node_id}}.png"}}]
{sidecars}  listings: [{{path: list.txt, format: txt, line: "{{part}} {{file.path}}"}}]
run_spec: {{runner: shell, command: [/bin/true]}}
output_parser:
  outputs:
{outputs}"""
_SIDECARS = """  sidecars:
    - path: "in/{node.node_id}.json"
      format: json
      content: {id: "{node.node_id}", name: "{file.name}", source: "{metadata.source}",
        title: "{metadata.title}"}
"""
_SCHEMA = """result_schema:
  size_bytes: {type: bigint, description: Size}
"""
_OUTPUTS: dict[Outputs, str] = {
    "lines": """    - name: sizes
      glob: sizes.jsonl
      format: jsonl
      input: {field: file, equals: stem}
      results: {size_bytes: size}
"""
    + _SCHEMA,
    "files": """    - name: sizes
      glob: "*.json"
      format: json
      input: {field: stem, equals: stem}
      results: {size_bytes: size}
"""
    + _SCHEMA,
    "children": """    - name: made
      glob: "*.txt"
      format: file
      input: {field: stem, equals: stem}
      child: {relationship: made of, is_root: false}
""",
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class World:
    """A store, its client, a database, and the contract to measure."""

    root: str
    database: Database
    client: TimedClient
    loaded: LoadedContract
    outputs: Outputs


@dataclass(slots=True)
class Clock:
    """Seconds by step, as often as each was taken, in the order of the first time."""

    seconds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def add(self, name: str, spent_s: float) -> None:
        self.seconds.setdefault(name, []).append(spent_s)

    def of(self, name: str, call: Callable[[], T]) -> T:
        begun = time.monotonic()
        result = call()
        self.add(name, time.monotonic() - begun)
        return result


class TimedClient(Client):
    """A client that knows how long it waited for the store."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.waited_s = 0.0

    def ask(self, *given: Any, **named: Any) -> Any:
        begun = time.monotonic()
        try:
            return super().ask(*given, **named)
        finally:
            self.waited_s += time.monotonic() - begun


@contextlib.contextmanager
def world(folder: str | None, files: int, outputs: Outputs, *, sidecars: bool) -> Generator[World]:
    """Make all of it below `folder`, and remove it afterwards."""
    root = tempfile.mkdtemp(prefix="ds-", dir=folder)
    disks = [os.path.join(root, f"d{number}") for number in range(4)]
    config = init_store(root, disks, None, min_free_bytes=1 << 20)
    path = os.path.join(root, "drystone.toml")
    daemon.start_engine(config, path)
    companion.start(path)
    try:
        inbox = os.path.join(config.area_path("3a"), "pictures")
        # Whole to whoever looks at their ends.
        head, tail = b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND\xaeB`\x82"
        found = even_sizes(files, 1_000, 8_000)
        write_files(inbox, found, extension="png", head=head, tail=tail)
        with Database.open(path) as database:
            ingest(path, Signal(inbox, "pictures", "plain-folder", "bench"), database=database)
            client = TimedClient(config.socket_path)
            yield World(root, database, client, _contract(root, outputs, sidecars), outputs)
    finally:
        companion.stop(path)
        daemon.stop_engine(config)
        shutil.rmtree(root, ignore_errors=True)


def program(world: World, staged: StagedPart) -> None:
    """What the action's program would do."""
    lines: list[str] = []
    for item in staged.files:
        stem = os.path.splitext(os.path.basename(item.path))[0]
        size = os.stat(os.path.join(staged.input_root, item.path)).st_size
        lines.append(json.dumps({"file": stem, "size": size}) + "\n")
        if world.outputs != "lines":
            extension = "txt" if world.outputs == "children" else "json"
            path = os.path.join(staged.output_root, f"{stem}.{extension}")
            with open(path, "w", encoding="ascii") as file:
                file.write(lines[-1])
    if world.outputs == "lines":
        path = os.path.join(staged.output_root, "sizes.jsonl")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(lines)


def _contract(root: str, outputs: Outputs, sidecars: bool) -> LoadedContract:
    folder = os.path.join(root, "contract")
    os.makedirs(folder)
    makes_children = outputs == "children"
    text = _CONTRACT.format(
        type="AC4" if makes_children else "AC2",
        parameters="parameters: {}\n" if makes_children else "",
        sidecars=_SIDECARS if sidecars else "",
        outputs=_OUTPUTS[outputs],
    )
    with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
        file.write(text)
    return load_contract(folder)
