"""What every adapter must do: it owns the checks and the mutations, never a format.

`check_adapter` reads a folder and checks the contract of `adapters.records.items.Adapter`: no
exception, the same items again, sorted and well-formed, every value storable in the declared
columns, and every file accounted for by the assembler.
"""

from __future__ import annotations

import os
import random
from datetime import datetime
from pathlib import Path

from adapters.ingest.assemble import Assembler
from adapters.records.adapter import Adapter
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.records.relationships import FORMS_TREE
from adapters.sources.registry import adapter_named
from sql import WriteIntent, default_file_extensions

PYTHON_TYPES = {
    "bigint": int,
    "integer": int,
    "double precision": (int, float),
    "boolean": bool,
    "text": str,
    "timestamptz": datetime,
    "date": object,
    "bytea": str,
    "text[]": list,
    "bigint[]": list,
    "double precision[]": list,
    "jsonb": str,
}


def check_adapter(adapter: Adapter, root: str) -> tuple[list[Record], list[Problem]]:
    """Read a folder twice and check everything that holds for every adapter."""
    folder = ScrapeFolder.of(root)
    items = list(adapter.read(folder))
    assert items == list(adapter.read(ScrapeFolder.of(root))), "the same folder, other items"
    records = [item for item in items if isinstance(item, Record)]
    problems = [item for item in items if isinstance(item, Problem)]
    for problem in problems:
        assert problem.reason.strip(), problem
        assert problem.path in folder.files or problem.path in folder.extracted, problem
    for record in records:
        _check_record(adapter, folder, record)
    _check_intents(adapter, root)
    sniff = adapter.sniff(folder)
    assert 0.0 <= sniff.confidence <= 1.0 and sniff.reason
    return records, problems


def _check_record(adapter: Adapter, folder: ScrapeFolder, record: Record) -> None:
    assert record.path in folder.files or record.path in folder.extracted, record
    tables = {table.name: table for table in adapter.tables}
    for observation in record.observations:
        _check_node(folder, observation.node)
        assert observation.source in tables, observation
        assert observation.view is None or 0 <= observation.view < 2**63, observation
        assert observation.update_time is None or observation.update_time.tzinfo, observation
        for name, value in observation.meta.items():
            column = tables[observation.source].column(name)
            assert column is not None, (observation.source, name)
            if value is None:
                continue
            assert isinstance(value, PYTHON_TYPES[column.type]), (name, column.type, value)
            assert column.type == "boolean" or not isinstance(value, bool), (name, value)
            if column.type in ("bigint", "integer"):
                assert abs(value) < 2 ** (63 if column.type == "bigint" else 31), (name, value)
    for link in record.links:
        assert link.relationship in FORMS_TREE, link
        _check_node(folder, link.parent)
        _check_node(folder, link.child)


def _check_node(folder: ScrapeFolder, node: str | MediaFile) -> None:
    if isinstance(node, MediaFile):
        assert node.path in folder.files or node.path in folder.extracted, node
    else:
        platform, kind, identity = node.split(":", 2)
        assert platform and kind and identity.strip(), node
        node.encode()


def _check_intents(adapter: Adapter, root: str) -> None:
    """Everything that the adapter says is a valid intent, and every file is accounted for."""
    folder = ScrapeFolder.of(root)
    assembler = Assembler(
        folder,
        adapter,
        intent_prefix="test",
        ingest_batch="test",
        user=None,
        extensions=default_file_extensions(),
        intent_items=1_000,
        write_record=lambda _name, _data: None,
        fallback=adapter_named("plain-folder"),
    )
    for intent in assembler.intents():
        again = WriteIntent.model_validate_json(intent.model_dump_json())
        assert again.intent_id == intent.intent_id
        known = {node.key for node in (*intent.virtual_nodes, *intent.physical_nodes)}
        for edge in intent.edges:
            assert edge.parent in known and edge.child in known
        for row in intent.common_metadata:
            assert row.key in known
    whole = {problem.path for problem in assembler.problems if problem.number < 0}
    assert whole <= folder.files.keys() | folder.extracted.keys()


def mutate(data: bytes, seed: int) -> bytes:
    """Return hostile variations of a file: cut, flipped, repeated, or with odd values put in."""
    chance = random.Random(seed)
    kind = chance.randrange(7)
    if not data:
        return b"\0"
    if kind == 0:
        return data[: chance.randrange(len(data))]
    if kind == 1:
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 20)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    if kind == 2:
        begin = chance.randrange(len(data))
        return data[:begin] + data[begin : begin + 200] * 3 + data[begin + 200 :]
    if kind == 3:
        return b"\xef\xbb\xbf" + data
    odd = chance.choice(
        [
            *(b"null", b"[]", b"{}", b'""', b"-1", b"1e999", b"9" * 30, b'"\\u0000"'),
            *(b'"\\ud800"', b'"../../etc/passwd"', b"true", b'"\'; DROP TABLE node; --"'),
            *(b"[" * 300, b"1970"),
        ]
    )
    # After a colon, which is where JSON and YAML keep their values.
    places = [index for index, byte in enumerate(data) if byte in b":>,"]
    if not places:
        return data + odd
    begin = chance.choice(places) + 1
    end = begin
    while end < len(data) and data[end] not in b",}]<\n":
        end += 1
    return data[:begin] + odd + data[end:]


def copy_mutated(source: str, target: str, seed: int) -> str:
    """Copy a folder with about a third of its files mutated; returns the copy."""
    chance = random.Random(seed)
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            place = Path(target, os.path.relpath(folder, source), name)
            place.parent.mkdir(parents=True, exist_ok=True)
            data = Path(folder, name).read_bytes()
            changed = mutate(data, chance.randrange(2**32)) if chance.random() < 0.34 else data
            place.write_bytes(changed)
            os.utime(place, ns=(1_700_000_000_000_000_000,) * 2)
    return target
