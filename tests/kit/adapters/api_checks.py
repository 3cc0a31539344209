"""What the tests of saved API responses share: it owns folders, short forms and mutations."""

from __future__ import annotations

import copy
import json
import os
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Observation, Problem, Record
from adapters.records.relationships import FORMS_TREE

SAMPLES = os.path.normpath(
    os.path.join(os.path.dirname(__file__), *[os.pardir] * 4, "shared", "samples")
)
TYPES = {
    "bigint": int,
    "double precision": (int, float),
    "boolean": bool,
    "text": str,
    "timestamptz": datetime,
    "text[]": list,
}
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">'
    b"<!ENTITY c '&b;&b;&b;&b;'>]>"
)
ODD = [None, [], {}, "", " ", -1, 0, True, False, 1e300, 2**70, "9" * 30, "\0", "\ud800",
       "\u202e🙂", "../../etc/passwd", "'; DROP TABLE node; --", "http://[", "//", "https://x.test/a/b.jpg",
       "2020-13-45T99:00", "<b>x", "P1Y", [None], [[]], {"value": {}}, {"$": {}}, {"_content": 7},
       {"type": "datetime.datetime", "value": []}, "x" * 9000]  # fmt: skip


def sample(name: str) -> str:
    """Return the folder of a sample set; skips where the samples are absent."""
    folder = os.path.join(SAMPLES, name)
    if not os.path.isdir(folder):
        pytest.skip("the samples are not here")
    return folder


def write(root: Path, files: dict[str, Any]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes | str) else json.dumps(content)
        path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))
    return str(root)


def read(adapter: Any, root: str) -> tuple[list[Record], list[Problem]]:
    """Read a folder and check what holds for every record."""
    folder = ScrapeFolder.of(root)
    items = list(adapter.read(folder))
    places = [(item.path, item.number) for item in items]
    assert places == sorted(places)
    tables = {table.name: table for table in adapter.tables}
    for item in items:
        assert item.path in folder.files
        if isinstance(item, Record):
            _check(folder, tables, item)
        else:
            assert item.reason.strip()
    records = [item for item in items if isinstance(item, Record)]
    return records, [item for item in items if isinstance(item, Problem)]


def _check(folder: ScrapeFolder, tables: dict[str, Any], record: Record) -> None:
    nodes = [record.subject]
    for link in record.links:
        assert link.relationship in FORMS_TREE
        assert link.position is None or 0 <= link.position < 2**31
        nodes += [link.parent, link.child]
    for said in record.observations:
        nodes.append(said.node)
        assert said.view is None or 0 <= said.view < 2**63
        assert said.update_time is None or said.update_time.tzinfo
        assert said.title is None or said.title.encode()
        for name, value in said.meta.items():
            column = next(c for c in tables[said.source].columns if c.name == name)
            assert isinstance(value, TYPES[column.type]), (name, value)
            assert column.type == "boolean" or not isinstance(value, bool)
            assert not isinstance(value, str) or value.encode()
            if column.type == "bigint":
                assert abs(value) < 2**63
            if column.type == "text[]":
                assert all(isinstance(member, str) for member in value)
    for node in nodes:
        if isinstance(node, MediaFile):
            assert node.path in folder.files
        else:
            platform, kind, identity = node.split(":", 2)
            assert platform and kind and identity.strip() and node.encode()


class Edges(list[str]):
    """Edges of a record, whose order is nobody's promise."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and sorted(self) == sorted(other)

    __hash__ = None  # type: ignore[assignment]


def edges(record: Record, *relationships: str) -> Edges:
    """Return the edges in a form that is easy to write down: `parent -name(position)-> child`."""
    return Edges(
        f"{_name(link.parent)} -{link.relationship}"
        + (f"({link.position})" if link.position is not None else "")
        + f"-> {_name(link.child)}"
        for link in record.links
        if not relationships or link.relationship in relationships
    )


def _name(node: str | MediaFile) -> str:
    return f"file {node.path}" if isinstance(node, MediaFile) else node


def said(record: Record, node: str | None = None) -> Observation:
    """Return what a record says of a node, its subject by default."""
    wanted = record.subject if node is None else node
    found = [o for o in record.observations if _name(o.node) == _name(wanted)]
    assert found, f"nothing about {wanted} in {[_name(o.node) for o in record.observations]}"
    return found[0]


def by_subject(records: list[Record]) -> dict[str, Record]:
    return {_name(record.subject): record for record in reversed(records)}


def counts(items: list[Any]) -> dict[str, int]:
    return dict(Counter(item.path for item in items))


def hostile(data: bytes, chance: Random) -> bytes:
    """Return a mutation: of a JSON value where it is one, else of the text."""
    try:
        value = json.loads(data)
    except ValueError:
        return _hostile_text(data, chance)
    value = copy.deepcopy(value)
    for _ in range(chance.randrange(1, 5)):
        places = list(_places(value))
        if not places:
            break
        container, key = chance.choice(places)
        if chance.random() < 0.25:
            del container[key]
        else:
            container[key] = copy.deepcopy(chance.choice(ODD))
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        keys = inner.keys() if isinstance(inner, dict) else range(len(inner))
        for key in keys:
            yield inner, key
            if isinstance(inner[key], dict | list):
                waiting.append(inner[key])


def _hostile_text(data: bytes, chance: Random) -> bytes:
    for _ in range(chance.randrange(1, 4)):
        marks = [i for i, byte in enumerate(data) if byte in b'>\t"\n']
        kind = chance.randrange(4)
        if kind == 0:
            data = data[: chance.randrange(len(data) + 1)]
        elif kind == 1 and data:
            at = chance.randrange(len(data))
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif marks:
            begin = chance.choice(marks) + 1
            end = begin
            while end < len(data) and data[end] not in b'<\t"\n':
                end += 1
            odd = chance.choice(
                ["", "-1", "9" * 30, "x y", "&amp;", "true", "\\N", "\0", "[{]", "🙂"]
            )
            data = data[:begin] + odd.encode() + data[end:]
    return data


def fuzz(adapter: Any, files: dict[str, Any], chance: Random) -> None:
    """Read a folder with one of its files mutated: no exception, only Records and Problems."""
    name = chance.choice(sorted(files))
    content = files[name]
    data = content if isinstance(content, bytes | str) else json.dumps(content)
    data = data if isinstance(data, bytes) else data.encode()
    with tempfile.TemporaryDirectory() as root:
        write(Path(root), {name: hostile(data, chance), "123456_p0.jpg": b"x", "x/12.png": b"y"})
        records, problems = read(adapter, root)
        folder = ScrapeFolder.of(root)
        assert 0.0 <= adapter.sniff(folder).confidence <= 1.0
        if name.endswith((".json", ".xml", ".tsv")) and folder.files[name].size_bytes:
            assert records or problems, "a file was lost"
