"""Folders of sidecars for tests of adapters: writing, reading, comparing and mutating them."""

from __future__ import annotations

import copy
import json
import os
import random
from datetime import datetime
from typing import Any

from command import ROOT
from conformance import PYTHON_TYPES

from adapters.records.adapter import Adapter
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Observation, Problem, Record
from adapters.records.relationships import FORMS_TREE

SAMPLES = os.path.join(ROOT, "..", "shared", "samples")

ODD_VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        2**53 + 1,
        2**70,
        1.5,
        1e300,
        "",
        " ",
        "0",
        "\0",
        "\ud800",
        "x" * 5000,
    ),
    *(
        "'; DROP TABLE node; --",
        "../../etc/passwd",
        "\u202eabc",
        "99999-99-99",
        [],
        {},
        [[]],
        [None],
    ),
    *(
        {"id": None},
        {"id": {"id": 1}},
        [{"id": 5, "name": "n"}],
        ["a", 1, None],
        "at://",
        "//",
        "http://",
    ),
]


def write(root: Any, files: dict[str, Any]) -> str:
    """Write a folder; values that are no bytes become JSON."""
    for path, value in files.items():
        whole = os.path.join(str(root), path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as file:
            file.write(value if isinstance(value, bytes) else json.dumps(value).encode())
    return str(root)


def read(adapter: Adapter, root: Any) -> list[Record | Problem]:
    return list(adapter.read(ScrapeFolder.of(str(root))))


def read_one(adapter: Adapter, root: Any, files: dict[str, Any]) -> Record:
    (item,) = read(adapter, write(root, files))
    assert isinstance(item, Record), item
    return item


def observed(record: Record, node: str | MediaFile) -> Observation:
    (found,) = [about for about in record.observations if about.node == node]
    return found


def edges(record: Record) -> set[tuple[Any, str, Any]]:
    """Return (parent, relationship, child), files as their paths."""
    return {(_name(link.parent), link.relationship, _name(link.child)) for link in record.links}


def _name(node: str | MediaFile) -> str:
    return node if isinstance(node, str) else f"file:{node.path}"


def samples(name: str) -> str:
    import pytest

    folder = os.path.join(SAMPLES, name)
    if not os.path.isdir(folder):
        pytest.skip(f"the sample set {name} is not here")
    return folder


def mutated(record: Any, seed: int) -> Any:
    """Return a copy with up to six fields, however deep, dropped, replaced, nested or moved."""
    chance = random.Random(seed)
    record = copy.deepcopy(record)
    for _ in range(chance.randrange(1, 7)):
        place: Any = record
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.6:
                place = place[key]
                continue
            kind = chance.randrange(5)
            if kind == 0:
                del place[key]
            elif kind == 1:
                place[key] = {"id": place[key]}
            elif kind == 2:
                place[key] = [place[key]]
            else:
                place[key] = copy.deepcopy(chance.choice(ODD_VALUES))
            break
    return record


def check(adapter: Adapter, root: Any) -> None:
    """Read a folder; every item is well-formed, storable, and the same when read again."""
    items = read(adapter, root)
    assert items == read(adapter, root)
    assert items, "no file may be lost"
    tables = {table.name: table for table in adapter.tables}
    for item in items:
        if isinstance(item, Problem):
            assert item.reason.strip()
            continue
        for about in item.observations:
            assert about.view is None or 0 <= about.view < 2**63
            assert about.update_time is None or isinstance(about.update_time, datetime)
            (about.title or "").encode()
            for name, value in about.meta.items():
                column = tables[about.source].column(name)
                assert column is not None, (about.source, name)
                assert isinstance(value, PYTHON_TYPES[column.type]), (name, value)
                assert column.type == "boolean" or not isinstance(value, bool), (name, value)
                assert not isinstance(value, int) or abs(value) < 2**63, (name, value)
        for link in item.links:
            assert link.relationship in FORMS_TREE
            assert link.position is None or 0 <= link.position < 2**31
            for node in (link.parent, link.child):
                if isinstance(node, str):
                    node.encode()
                    assert len(node.split(":", 2)) == 3
