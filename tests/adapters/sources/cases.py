"""Cases of adapters: folders of records of our own, and all that comes out of them.

`PLATFORM/cases/NAME/in/` is a scraped folder; `expected.jsonl` names the adapter in its first line
and then says what it makes of the folder: a line for each record or problem, observation and edge.
`python -m tests.adapters.sources.cases [PLATFORM/NAME ...]` writes the expectations again; the
difference is for a person to judge, and no test ever does it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Observation, Problem, Record
from adapters.sources.registry import adapter_named

HERE = os.path.dirname(os.path.abspath(__file__))


def case_names() -> list[str]:
    """Return the names of all cases as PLATFORM/NAME."""
    platforms = sorted(name for name in os.listdir(HERE) if os.path.isdir(f"{HERE}/{name}/cases"))
    return [f"{p}/{name}" for p in platforms for name in sorted(os.listdir(f"{HERE}/{p}/cases"))]


def folder_of(case: str) -> str:
    """Return the scraped folder of a case."""
    platform, _, name = case.partition("/")
    return f"{HERE}/{platform}/cases/{name}/in"


def expected_of(case: str) -> list[dict[str, Any]]:
    """Return the lines that a case expects, the adapter's name first."""
    with open(
        os.path.join(os.path.dirname(folder_of(case)), "expected.jsonl"), encoding="utf-8"
    ) as file:
        return [json.loads(line) for line in file]


def lines_of(adapter: str, folder: str) -> list[dict[str, Any]]:
    """Return what an adapter makes of a folder, as the lines of an expectation."""
    items = adapter_named(adapter).read(ScrapeFolder.of(folder))
    found = [line for item in items for line in _lines(item)]
    return json.loads(json.dumps([{"adapter": adapter}, *found]))


def _lines(item: Record | Problem) -> Iterator[dict[str, Any]]:
    if isinstance(item, Problem):
        yield {"problem": item.reason, "path": item.path, "number": item.number}
        return
    also = {
        "unread": dict(item.unread) or None,
        "scraped": item.scraped_time and item.scraped_time.isoformat(),
    }
    known = {name: value for name, value in also.items() if value is not None}
    yield {"record": _name(item.subject), "path": item.path, "number": item.number} | known
    yield from sorted(map(_observation, item.observations), key=lambda line: line["node"])
    for link in sorted(item.links, key=lambda one: (one.relationship, str(one.position), str(one))):
        number = "" if link.position is None else f" {link.position}"
        yield {"edge": f"{_name(link.parent)} -{link.relationship}{number}-> {_name(link.child)}"}


def _observation(one: Observation) -> dict[str, Any]:
    said = {
        "title": one.title,
        "view": one.view,
        "time": one.update_time and one.update_time.isoformat(),
        "author": one.author,
        "root": one.is_root or None,
    }
    known = {name: value for name, value in said.items() if value is not None}
    meta = {name: _plain(value) for name, value in sorted(one.meta.items()) if value is not None}
    return {
        "node": _name(one.node),
        "source": one.source,
        **known,
        **({"meta": meta} if meta else {}),
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list) else str(value)


def _name(node: str | MediaFile) -> str:
    return f"file {node.path}" if isinstance(node, MediaFile) else node


def record(case: str) -> None:
    """Write the expectation of a case."""
    lines = lines_of(expected_of(case)[0]["adapter"], folder_of(case))
    path = os.path.join(os.path.dirname(folder_of(case)), "expected.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


if __name__ == "__main__":
    for one in sys.argv[1:] or case_names():
        record(one)
