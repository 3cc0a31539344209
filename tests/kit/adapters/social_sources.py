"""What the tests of social networks share: writing inputs, reading records, comparing edges."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies

from adapters.records.adapter import Adapter
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Observation, Problem, Record

SAMPLES = os.path.join(os.path.dirname(__file__), *[os.pardir] * 4, "shared", "samples")


def samples(name: str) -> str:
    """Return the folder of a set of real samples; skips the test where there is none."""
    folder = os.path.join(SAMPLES, name)
    if not os.path.isdir(folder):
        pytest.skip(f"no samples of {name}")
    return folder


def write(root: Path, files: dict[str, Any]) -> Path:
    """Write files: text and bytes as they are, everything else as JSON."""
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = value if isinstance(value, str | bytes) else json.dumps(value)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def outputs(adapter: Adapter, root: str | Path) -> list[Record | Problem]:
    return list(adapter.read(ScrapeFolder.of(str(root))))


def records(adapter: Adapter, root: str | Path) -> list[Record]:
    """Read a folder in which everything must be a record."""
    found = outputs(adapter, root)
    assert [item for item in found if isinstance(item, Problem)] == []
    return [item for item in found if isinstance(item, Record)]


def problems(adapter: Adapter, root: str | Path) -> list[Problem]:
    return [item for item in outputs(adapter, root) if isinstance(item, Problem)]


def name_of(node: str | MediaFile) -> str:
    return f"file {node.path}" if isinstance(node, MediaFile) else node


def edges(*found: Record) -> set[tuple[str, str, str]]:
    return {
        (name_of(link.parent), link.relationship, name_of(link.child))
        for record in found
        for link in record.links
    }


def positions(record: Record) -> list[tuple[int | None, str]]:
    """Return the order of what a post contains."""
    return [
        (link.position, name_of(link.child))
        for link in record.links
        if link.relationship == "contains"
    ]


def about(record: Record, node: str) -> Observation:
    """Return what a record says about one node."""
    [found] = [o for o in record.observations if name_of(o.node) == node]
    return found


def known(observation: Observation) -> dict[str, Any]:
    """Return the columns that have a value."""
    return {name: value for name, value in observation.meta.items() if value is not None}


def subject(found: list[Record], node: str) -> Record:
    """Return the first record about a node."""
    return next(record for record in found if name_of(record.subject) == node)


def counts(found: list[Record | Problem]) -> dict[str, tuple[int, int]]:
    """Return records and problems of every file."""
    result: dict[str, tuple[int, int]] = {}
    for item in found:
        of_records, of_problems = result.get(item.path, (0, 0))
        is_record = isinstance(item, Record)
        result[item.path] = (of_records + is_record, of_problems + (not is_record))
    return result


# ---- Mutations ---------------------------------------------------------------------------------

STRANGE = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.integers(min_value=-(2**70), max_value=2**70),
    strategies.floats(allow_nan=False, allow_infinity=False),
    strategies.text(max_size=20),
    strategies.sampled_from(
        [
            "",
            "0",
            "\0",
            "\ud800",
            "../../etc/passwd",
            "'; DROP TABLE node; --",
            "http://[",
            "٣",
            "²",
        ]
    ),
    strategies.lists(strategies.one_of(strategies.integers(), strategies.text(max_size=3))),
    strategies.dictionaries(strategies.text(max_size=5), strategies.integers(), max_size=3),
)


@strategies.composite
def mutated(draw: Any, original: Any) -> Any:
    """Draw a JSON value in which up to six places hold something else, or nothing."""
    value = {"root": copy.deepcopy(original)}
    for _ in range(draw(strategies.integers(1, 6))):
        places = _places(value)
        holder, key = places[draw(strategies.integers(0, len(places) - 1))]
        if isinstance(holder, dict) and key != "root" and draw(strategies.booleans()):
            del holder[key]
        else:
            holder[key] = draw(STRANGE)
    return value["root"]


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, child in items:
            found.append((holder, key))
            if isinstance(child, dict | list):
                waiting.append(child)
    return found


def check_survives(adapter: Adapter, root: Path, name: str, value: Any, prefix: str = "") -> None:
    """Write a mutated value and read it: no exception, and every item is well-formed."""
    write(root, {name: prefix + json.dumps(value)})
    folder = ScrapeFolder.of(str(root))
    assert 0 <= adapter.sniff(folder).confidence <= 1
    columns = {table.name: {c.name for c in table.columns} for table in adapter.tables}
    for item in adapter.read(folder):
        if isinstance(item, Problem):
            assert item.reason
            continue
        for observation in item.observations:
            assert set(observation.meta) <= columns[observation.source]
            json.dumps(observation.title, ensure_ascii=False).encode()
        for link in item.links:
            name_of(link.parent).encode()
            name_of(link.child).encode()
