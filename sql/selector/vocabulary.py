"""The words a selector may use: it owns the names that the database has, and what they stand for.

Names become numbers here, once, before a statement is compiled: the planner then sees which source
or relationship is meant and estimates with its true frequency, where a join would hide it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from sql.core.statements import statements
from sql.selector.selector import Selector, conditions_of

# The names of format_type for the types that declared columns have.
_TYPES = {"timestamp with time zone": "timestamptz"}
_HIDDEN_COLUMNS = frozenset({"id", "node_id", "observation_hash", "action_event_id"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names and what they stand for; `tables` has the declared columns and types of each table."""

    extensions: Mapping[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    sources: Mapping[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    relationships: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    actions: Mapping[str, int] = field(default_factory=dict[str, int])
    pipelines: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    ingest_batches: Mapping[str, int] = field(default_factory=dict[str, int])
    datasets: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    places: tuple[str, ...] = ()
    """Tables of sources that say latitude and longitude, where a selector asks for a place."""


def load_vocabulary(connection: psycopg.Connection[Any], selector: Selector) -> Vocabulary:
    """Read the names that a selector may use, in one round trip."""
    conditions = [condition for condition, _, _ in conditions_of(selector.where)]
    wanted: dict[str, Any] = {
        "places": any(part.near for part in conditions),
        "ingest_batches": [name for part in conditions for name in part.ingest_batch or ()],
        "datasets": [name for part in conditions for name in part.dataset or ()],
        "tables": [
            f"meta_{part.source_metadata.source}" for part in conditions if part.source_metadata
        ]
        + [f"result_{part.result.action}" for part in conditions if part.result],
    }
    row = connection.execute(statements("vocabulary")["vocabulary"], wanted).fetchone()
    assert row is not None
    found: dict[str, Any] = {name: value or {} for name, value in row[0].items()}
    return Vocabulary(
        extensions={name: (number, kind) for name, (number, kind) in found["extensions"].items()},
        sources={name: (number, table) for name, (number, table) in found["sources"].items()},
        relationships={name: tuple(ids) for name, ids in found["relationships"].items()},
        actions=found["actions"],
        pipelines={name: tuple(ids) for name, ids in found["pipelines"].items()},
        ingest_batches=found["ingest_batches"],
        datasets={name: tuple(ids) for name, ids in found["datasets"].items()},
        tables={name: _columns(columns) for name, columns in found["tables"].items()},
        places=tuple(found["places"]),
    )


def _columns(columns: Mapping[str, str]) -> dict[str, str]:
    return {
        name: _TYPES.get(kind, kind)
        for name, kind in columns.items()
        if name not in _HIDDEN_COLUMNS
    }
