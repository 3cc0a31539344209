"""Canned output trees for the hand-off: it owns a house with inputs and contracts, and no test.

The outputs are written here in place of a program's (one of the two exceptions to "no mocks"): what
is tested is what becomes of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest_harness import House
from store_harness import MIB, Store, write_files

from adapters.actions.contract.check import LoadedContract, loaded_contract
from adapters.actions.contract.contract import ActionContract
from adapters.actions.contract.registry import declare_contract
from adapters.actions.contract.stage_model import LeftOut, StagedInput, StagedPart
from adapters.actions.outputs.events import begin_event
from adapters.actions.outputs.hand_off import HandOffReport, take_outputs
from fsd import Client
from fsd.engine.setup import init_store
from sql import PhysicalNode, Selector, WriteIntent


def png(seed: int, size: int = 4) -> bytes:
    """Return a small grey picture, another one for every seed."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + bytes([seed % 256] * size) for _ in range(size))
    text = chunk(b"tEXt", b"seed\0%d" % seed)
    body = chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + text + body


def contract(**changes: Any) -> LoadedContract:
    """Return an AC4 with a table of results, crops as children and a listing; changed as asked."""
    document: dict[str, Any] = {
        "action_id": 700,
        "name": "crop",
        "type": "AC4",
        "version": 1,
        "description": "Crops what a program found",
        "parameters": {"margin": {"type": "integer", "default": 0}},
        "stage_layout": {
            "layout_id": "plain",
            "files": [{"path": "in/{node.node_id}.{node.extension}"}],
        },
        "run_spec": {"runner": "shell", "command": ["/bin/true"]},
        "output_parser": {
            "outputs": [
                {
                    "name": "crops",
                    "glob": "crops/*.png",
                    "regex": r"crops/(?P<input>\d+)_(?P<number>\d+)\.png",
                    "format": "file",
                    "input": {"field": "input", "equals": "node_id"},
                    "child": {
                        "relationship": "crop of",
                        "is_root": False,
                        "position": "number",
                        "title": "crop {number} of {node.key}, margin {parameters.margin}",
                    },
                },
                {
                    "name": "found",
                    "glob": "found.csv",
                    "format": "csv",
                    "input": {"field": "file", "equals": "path"},
                    "results": {"thing": "thing", "score": "score"},
                },
            ],
            "ignore": ["**/*.log"],
        },
        "result_schema": {
            "thing": {"type": "text", "description": "What was found"},
            "score": {"type": "double precision", "description": "How sure it is"},
        },
    }
    checked = ActionContract.model_validate({**document, **changes})
    return loaded_contract(checked, os.path.abspath("contract.yaml"))


@dataclass
class Bench:
    """A house with inputs, and the runs of one contract over them."""

    house: House
    loaded: LoadedContract
    folder: str
    inputs: list[StagedInput] = field(default_factory=list[StagedInput])
    batch: int = 0
    event: int = 0
    parameters: dict[str, Any] = field(default_factory=lambda: {"margin": 2})

    @property
    def client(self) -> Client:
        return Client(self.house.store.config.socket_path)

    @property
    def output(self) -> str:
        return os.path.join(self.folder, "output")

    def staged(self, *, left_out: tuple[LeftOut, ...] = ()) -> StagedPart:
        return StagedPart(
            action_batch_id=self.batch,
            layout_id="plain-0",
            part=0,
            mode="copy",
            input_root=os.path.join(self.folder, "input"),
            output_root=self.output,
            output_bytes_max=10**9,
            files=tuple(self.inputs),
            left_out=left_out,
        )

    def write(self, files: dict[str, bytes]) -> None:
        write_files(self.output, files)

    def take(self, **changes: Any) -> HandOffReport:
        given: dict[str, Any] = {
            "action_event_id": self.event, "part": 0, "parameters": self.parameters,
            "run_id": 1, "exit_state": "done", **changes,
        }  # fmt: skip
        staged = given.pop("staged", None) or self.staged()
        return take_outputs(self.client, self.house.database, self.loaded, staged, **given)

    def results(self) -> list[tuple]:
        return self.house.rows(
            "SELECT node_id, thing, score FROM result_crop ORDER BY node_id, thing, score"
        )

    def quarantine(self) -> list[tuple[str, int, str]]:
        rows = self.house.database.quarantine.of_actions(self.event)
        return [(row.path, row.record_number, row.reason) for row in rows]

    def outcomes(self) -> dict[int, str]:
        return {
            row.node_id: row.outcome for row in self.house.database.actions.outcomes(self.event)
        }

    def contents(self) -> dict[str, list[tuple]]:
        """Return everything that taking the same outputs again must not change."""
        contents = self.house.contents()
        extra = {
            "results": "SELECT node_id, action_event_id, thing, score FROM result_crop",
            "outcomes": "SELECT action_event_id, node_id, part, outcome, reason FROM action_node",
            "aside": "SELECT path, record_number, node_id, reason, encode(sha256, 'hex') "
            "FROM quarantine",
            "intents": "SELECT intent_id FROM write_intent",
        }
        for name, query in extra.items():
            contents[name] = sorted(self.house.rows(query), key=repr)
        if self.house.rows("SELECT to_regclass('meta_generated') IS NOT NULL") == [(True,)]:
            query = "SELECT node_id, action, parameters, parent_key, path FROM meta_generated"
            contents["generated"] = sorted(self.house.rows(query), key=repr)
        return contents


@contextlib.contextmanager
def running_store() -> Iterator[Store]:
    """Yield a store of three disks for many tests, each of which has a database of its own.

    Objects are known by their bytes, so what one test stored another finds existing.
    """
    folder = tempfile.mkdtemp(prefix="ds-")
    root = os.path.join(folder, "store")
    paths = [os.path.join(root, f"d{number}") for number in range(1, 4)]
    config = init_store(root, paths, None, min_free_bytes=MIB, shard_size_bytes=4 * MIB)
    store = Store(root, config, paths)
    store.start()
    try:
        yield store
    finally:
        store.stop()
        shutil.rmtree(folder)


def make_inputs(house: House, folder: str, count: int) -> list[StagedInput]:
    """Store pictures, describe them, and return them as staged inputs."""
    files = {f"{number}.png": png(1_000 + number, size=32) for number in range(count)}
    write_files(folder, files)
    client = Client(house.store.config.socket_path)
    client.wait(client.batch_write(folder, "inputs").job_id)
    keys = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
    nodes = tuple(
        PhysicalNode(key=key, size_bytes=len(data), extension="png") for key, data in keys.items()
    )
    house.database.apply_intent(WriteIntent(intent_id="inputs", physical_nodes=nodes))
    rows = house.database.query_nodes(Selector(version=1))
    return sorted(
        StagedInput(
            row.node_id, row.key, f"in/{row.node_id}.png", len(keys[row.key]), "png", "image"
        )
        for row in rows
        if row.key in keys
    )


def make_bench(
    house: House, folder: str, loaded: LoadedContract | None = None, inputs: int = 4
) -> Bench:
    """Return a bench whose run has begun; a contract that is given has no parameters."""
    bench = Bench(house, loaded or contract(), folder)
    if loaded is not None:
        bench.parameters = {}
    bench.inputs = make_inputs(house, os.path.join(folder, "scrape"), inputs)
    bench.batch = house.database.action_context.make_sealed_batch(
        item.node_id for item in bench.inputs
    )
    declare_contract(house.database, bench.loaded)
    bench.event = begin_event(
        house.database, bench.loaded, bench.batch, run_id=1, parameters=bench.parameters
    )
    os.makedirs(bench.output)
    return bench
