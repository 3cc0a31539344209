"""Reading small folders: it owns writing them down shortly and what every reading must satisfy."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import conformance
import pytest
from command import ROOT

from adapters.records.adapter import Adapter
from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record

SAMPLES = os.path.join(ROOT, "..", "shared", "samples")
MTIME_NS = 1_700_000_000_000_000_000


def sample(name: str) -> str:
    path = os.path.join(SAMPLES, name)
    if not os.path.isdir(path):
        pytest.skip("the samples are not here")
    return path


def write(root: Path, files: dict[str, bytes | str]) -> str:
    for name, content in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(place, ns=(MTIME_NS, MTIME_NS))
    return str(root)


def read(adapter: Adapter, root: str, out: str | None = None) -> tuple[list[Record], list[Problem]]:
    """Read a folder twice, and check types, nodes and that nothing depends on the run."""
    folder = ScrapeFolder.of(root, out)
    items = list(adapter.read(folder))
    assert items == list(adapter.read(ScrapeFolder.of(root)))
    answer = adapter.sniff(folder)
    assert 0.0 <= answer.confidence <= 1.0 and answer.reason
    for item in items:
        assert item.path in folder.files
        if isinstance(item, Record):
            conformance._check_record(adapter, folder, item)
            json.dumps(item.complete, default=str)
        else:
            assert item.reason.strip()
    records = [item for item in items if isinstance(item, Record)]
    return records, [item for item in items if isinstance(item, Problem)]


def counts(items: list[Any]) -> dict[str, int]:
    return dict(Counter(item.path for item in items))


def by_place(records: list[Record]) -> dict[tuple[str, int], Record]:
    found = {(record.path, record.number): record for record in records}
    assert len(found) == len(records), "two records claim one place"
    return found


def links_of(record: Record) -> list[tuple[Any, Any, str, int | None]]:
    """The links, files by their path."""
    return [
        (_shown(link.parent), _shown(link.child), link.relationship, link.position)
        for link in record.links
    ]


def said(record: Record, number: int = 0) -> dict[str, Any]:
    """The values of one observation that are known, the common ones beside the table's."""
    one = record.observations[number]
    common = {
        "node": _shown(one.node),
        "source": one.source,
        "is_root": one.is_root,
        "title": one.title,
        "view": one.view,
        "time": one.update_time.isoformat() if one.update_time else None,
        "author": one.author,
    }
    values = {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in one.meta.items()
    }
    return {name: value for name, value in (common | values).items() if value is not None}


def assert_says(record: Record, number: int = 0, **expected: Any) -> None:
    """Compare the named values; None expects that nothing is known."""
    known = said(record, number)
    assert {name: known.get(name) for name in expected} == expected


def survives(adapter: Adapter, source: Path, target: Path, seed: int) -> None:
    """Read a mutated copy: no exception, and every file of the format still gives something."""
    root = conformance.copy_mutated(str(source), str(target), seed)
    read(adapter, root)


def _shown(node: Any) -> Any:
    return f"file {node.path}" if isinstance(node, MediaFile) else node
