"""Reading made-up records of social platforms: short ways to write folders and expectations.

An edge is written as text: `reddit:user:ann -authored-> reddit:post:a1`, `-contains 0->` where it
has a position, `file:<path>` for a file.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from command import ROOT
from conformance import check_adapter
from hypothesis import strategies as st

from adapters.records.adapter import Adapter
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, NodeReference, Observation, Problem, Record

SAMPLES = os.path.join(ROOT, "..", "shared", "samples")


def samples(name: str) -> str:
    """Return the folder of a sample set; skips the test where there is none."""
    path = os.path.join(SAMPLES, name)
    if not os.path.isdir(path):
        pytest.skip("the sample records are not part of the repository")
    return path


def write_files(root: Path, files: dict[str, Any]) -> ScrapeFolder:
    """Write files: bytes and text as they are, anything else as JSON."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content)
            path.write_text(text, encoding="utf-8")
    return ScrapeFolder.of(str(root))


def read(adapter: Adapter, root: Path, files: dict[str, Any]) -> list[Record | Problem]:
    """Write a folder and read it; everything that holds for every adapter is checked, too."""
    write_files(root, files)
    check_adapter(adapter, str(root))
    return list(adapter.read(ScrapeFolder.of(str(root))))


def read_one(adapter: Adapter, root: Path, value: Any, **files: Any) -> Record:
    """Read one file of JSON that holds exactly one record."""
    items = read(adapter, root, {"record.json": value, **files})
    assert len(items) == 1, items
    assert isinstance(items[0], Record), items
    return items[0]


def read_set(adapter: Adapter, name: str) -> dict[tuple[str, int], Record | Problem]:
    """Read a sample set: items by path and number."""
    root = samples(name)
    check_adapter(adapter, root)
    items = list(adapter.read(ScrapeFolder.of(root)))
    by_place = {(item.path, item.number): item for item in items}
    assert len(by_place) == len(items), "two items have one path and number"
    return by_place


def counts(items: dict[tuple[str, int], Record | Problem]) -> dict[str, tuple[int, int]]:
    """Return (records, problems) of every file."""
    found: dict[str, tuple[int, int]] = {}
    for (path, _), item in items.items():
        records, problems = found.get(path, (0, 0))
        is_record = isinstance(item, Record)
        found[path] = (records + is_record, problems + (not is_record))
    return found


def of_subject(
    items: dict[tuple[str, int], Record | Problem], subject: str, path: str | None = None
) -> Record:
    """Return the only record about a subject, in one file or in all."""
    found = [
        item
        for (place, _), item in items.items()
        if isinstance(item, Record) and item.subject == subject and path in (None, place)
    ]
    assert len(found) == 1, len(found)
    return found[0]


def links(item: Record | Problem) -> set[str]:
    """Return the edges of a record as text."""
    assert isinstance(item, Record), item
    return {
        f"{_name(link.parent)} -{link.relationship}"
        f"{'' if link.position is None else f' {link.position}'}-> {_name(link.child)}"
        for link in item.links
    }


def said(item: Record | Problem, node: NodeReference) -> Observation:
    """Return what a record says about a node."""
    assert isinstance(item, Record), item
    found = [one for one in item.observations if one.node == node]
    assert len(found) == 1, [one.node for one in item.observations]
    return found[0]


def observed(item: Record | Problem) -> list[str]:
    """Return the nodes that a record says something about, the subject first."""
    assert isinstance(item, Record), item
    return [_name(one.node) for one in item.observations]


def _name(node: NodeReference) -> str:
    return f"file:{node.path}" if isinstance(node, MediaFile) else node


# ---- Mutations ------------------------------------------------------------------------------

ODD_TEXTS = [
    *("", " ", "\0", "\ud800", "../../etc/passwd", "http://[", "at://", "[deleted]", "9" * 30),
    *("t3_", "t1_", "user", "(File not included.)", "<a href='x'", "&amp;", "2022-99-99", "1e999"),
]
ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(ODD_TEXTS),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=5)), max_size=3),
    st.dictionaries(
        st.sampled_from(["id", "name", "url", "text", "type"]), st.integers(), max_size=2
    ),
)


@st.composite
def mutated(draw: Any, template: Any) -> Any:
    """Return a copy of a JSON value in which up to four places are gone, doubled or odd."""
    value = json.loads(json.dumps(template))
    for _ in range(draw(st.integers(1, 4))):
        holder, key = None, None
        inner = value
        while isinstance(inner, dict | list) and inner:
            keys = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
            holder, key = inner, draw(st.sampled_from(keys))
            inner = inner[key]
            if draw(st.booleans()) and not isinstance(inner, dict | list):
                break
            if draw(st.integers(0, 3)) == 0:
                break
        if holder is None:
            return draw(ODD_VALUES)
        if draw(st.integers(0, 3)) == 0:
            del holder[key]
        else:
            holder[key] = draw(ODD_VALUES)
    return value


def check_mutated(adapter: Adapter, value: Any) -> None:
    """Check that a mutated document is read without an exception, and gives something."""
    with tempfile.TemporaryDirectory() as root:
        folder = write_files(Path(root), {"record.json": json.dumps(value), "other.bin": b"x"})
        adapter.sniff(folder)
        records, problems = check_adapter(adapter, root)
        assert records or problems
