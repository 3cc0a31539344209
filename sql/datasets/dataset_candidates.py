"""The candidates of one dataset: it owns their temporary tables, from the selector to the members.

All of it is one transaction on one snapshot: what is counted, split, streamed and registered is the
same. Every step is one statement over all candidates, so ten million of them cost no memory here
but the groups that splits are made of. The order of the steps is the order of reasons: a file is
counted under the first that keeps it out.

    candidate     what the selector finds, with the reason why it is out, or NULL
    found_label   values that may be labels        node_class, node_label   classes of a node
    near_value    what looks alike                 near_group, regroup      joined groups
    group_split   the split of each group          member                   what is left
    value_N       a value that travels along       node_box                 boxes
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from base.errors import UsageError
from base.mistakes import suggestion
from sql.core.bigints import read_bigints, write_bigints
from sql.core.errors import TurnError
from sql.core.statements import statements
from sql.datasets.dataset_question import (
    CandidateRow,
    Cell,
    DatasetQuestion,
    FormerSplits,
    Groups,
    Int64s,
    Labels,
    NewVersion,
)
from sql.datasets.dataset_values import found_boxes, found_near, found_values, rows_statement
from sql.events.event_book import add_event
from sql.intent.tree_order import least_labels
from sql.selector.compile_selector import Compiled
from sql.selector.select import plan
from sql.selector.selector import Condition, Selector

if TYPE_CHECKING:
    from psycopg.abc import Params

FETCH_ROWS = 5_000
_SQL = statements("datasets")
_LEAKAGE = ("component", "tree", "bytes")


class Candidates:
    """See the module; made by `DatasetBook.candidates`, valid inside its block."""

    def __init__(self, connection: psycopg.Connection[Any], question: DatasetQuestion) -> None:
        self._connection = connection
        self._question = question
        self.classes: list[str] = []
        self.dropped_classes: set[int] = set()
        self.statement = ""
        self.parameters: dict[str, Any] = {}

    def choose(self, turn_of: str | None) -> None:
        """Fill the candidates and exclude what policies do not decide; takes a dataset's turn."""
        # The first statement: the snapshot of everything that follows is taken here.
        self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if turn_of is not None and not self._one(_SQL["take_turn"], [turn_of])[0]:
            raise TurnError(f"dataset {turn_of} is being built by another process; wait")
        self._run(_SQL["settings"])
        question = self._question
        self._select(question.selector)
        self._exclude_incomplete()
        for name, condition in question.filters.items():
            self._filter(name, condition)
        if question.labels is not None:
            self._label(question.labels)
        else:
            self._run(_SQL["no_labels"])
        self._take_values()
        if question.near is not None:
            self._group_near()

    # ---- Choosing --------------------------------------------------------------------------------

    def _select(self, selector: Selector) -> None:
        """Find the candidates, hidden ones too where that changes nothing else: they are counted.

        A sample or a limit would choose hidden ones in place of others.
        """
        if selector.sample is None and selector.limit is None:
            shown = {"include_deleted": True, "include_blacklisted": True}
            wide = selector.model_copy(update=shown)
        else:
            wide = selector
        compiled = self._compiled(wide)
        self.statement = compiled.statement.as_string(self._connection)
        self.parameters = compiled.parameters
        group = "component_id" if self._question.group_by == "component" else "root_id"
        self._run(
            SQL(
                "CREATE TEMPORARY TABLE candidate ON COMMIT DROP AS"
                " SELECT node.node_id, node.sha256, content.file_size_bytes AS size_bytes,"
                " content.file_extension_id, node.component_id, node.root_id,"
                " node.{group} AS group_id, CASE"
                " WHEN content.node_id IS NULL THEN 'no_file'"
                " WHEN content.in_black_list THEN 'black_listed'"
                " WHEN content.is_delete THEN 'deleted' END AS reason"
                " FROM ({chosen}) AS chosen JOIN node USING (node_id)"
                " LEFT JOIN physical_content AS content USING (node_id)"
            ).format(group=Identifier(group), chosen=compiled.statement),
            compiled.parameters,
        )
        self._run(b"ANALYZE candidate")

    def _compiled(self, selector: Selector) -> Compiled:
        ordered = selector.model_copy(update={"order": ()}) if selector.limit is None else selector
        return plan(self._connection, ordered, "keys", float("inf")).compiled

    def _exclude_incomplete(self) -> None:
        names = self._question.pipelines
        if names is None:
            self._run(_SQL["exclude_incomplete"])
            return
        known = dict(self._connection.execute(_SQL["pipelines"], prepare=False).fetchall())
        for name in names:
            if name not in known:
                raise UsageError(
                    f"require_complete: there is no pipeline {name!a}{suggestion(name, known)}"
                )
        if names:
            self._run(_SQL["exclude_without"], [[known[name] for name in names]])

    def _filter(self, name: str, condition: Condition) -> None:
        """Exclude what does not fulfil a condition: asked of the same nodes, so it stays cheap."""
        selector = self._question.selector
        parts = (condition,) if selector.where is None else (selector.where, condition)
        compiled = self._compiled(
            Selector(
                version=1,
                where=Condition(all=parts),
                include_deleted=selector.include_deleted,
                include_blacklisted=selector.include_blacklisted,
            )
        )
        self._run(
            SQL(
                "UPDATE candidate SET reason = {reason} WHERE reason IS NULL AND NOT EXISTS"
                " (SELECT FROM ({passing}) AS passing WHERE passing.node_id = candidate.node_id)"
            ).format(reason=f"filter_{name}", passing=compiled.statement),
            compiled.parameters,
        )

    # ---- Labels, values, groups ------------------------------------------------------------------

    def _label(self, labels: Labels) -> None:
        found = found_values(self._connection, labels.source)
        self._table(
            "found_label",
            SQL("SELECT node_id, value::text AS value, place FROM ({}) AS found").format(found),
        )
        self._run(_SQL["make_label_tables"])
        with self._connection.cursor() as cursor:
            with cursor.copy("COPY label_map (value, class) FROM STDIN") as copy:
                for value, name in labels.map.items():
                    copy.write_row((value, name))
            if labels.classes is not None:
                with cursor.copy("COPY class_list (class, number) FROM STDIN") as copy:
                    for number, name in enumerate(labels.classes):
                        copy.write_row((name, number))
        if labels.classes is None:
            self._run(_SQL["list_classes"])
        rows = self._all(b"SELECT class FROM class_list ORDER BY number")
        self.classes = [name for (name,) in rows]
        self._run(_SQL["map_labels"])
        self._run(b"ANALYZE node_class")
        if labels.unlabelled != "keep":
            self._run(_SQL["exclude_unlabelled"])
        if labels.multiple in ("error", "drop"):
            self._run(_SQL["exclude_doubly_labelled"])
        self._run(_SQL["choose_class"], {"multiple": labels.multiple})
        self._run(b"CREATE INDEX ON node_label (node_id)")
        self._run(b"ANALYZE node_label")

    def _take_values(self) -> None:
        question = self._question
        for number, value in enumerate(question.values.values()):
            found = found_values(self._connection, value)
            newest = SQL(
                "SELECT DISTINCT ON (node_id) node_id, to_jsonb(value) AS value FROM ({}) AS found"
                " ORDER BY node_id, place DESC"
            )
            self._table(f"value_{number}", newest.format(found))
        names = list(question.values)
        for name in question.values_required:
            table = Identifier(f"value_{names.index(name)}")
            self._run(
                SQL(
                    "UPDATE candidate SET reason = {} WHERE reason IS NULL AND NOT EXISTS"
                    " (SELECT FROM {} AS value WHERE value.node_id = candidate.node_id)"
                ).format(f"{name.replace(' ', '_')}_unknown", table)
            )
        if question.boxes is not None:
            self._table("node_box", found_boxes(self._connection, question.boxes))

    def _group_near(self) -> None:
        """Join groups that have members that look alike; numbers only, in arrays."""
        assert self._question.near is not None
        self._table("near_value", found_near(self._connection, self._question.near))
        self._run(_SQL["make_regroup"])
        node, group, value = read_bigints(self._connection, _SQL["near_pairs"], 3)
        if not len(node):
            return
        # Values are vertices beside the nodes and beside the groups: what they join is one.
        values, value_place = np.unique(value, return_inverse=True)
        for table, own in (("near_group", node), ("regroup", group)):
            known, place = np.unique(own, return_inverse=True)
            # A value's label is greater than every id, so that the least is an id.
            high = int(known[-1]) + 1 + np.arange(len(values), dtype=np.int64)
            least = least_labels(np.concatenate([known, high]), place, len(known) + value_place)[
                : len(known)
            ]
            write_bigints(self._connection, table, (known, least))
            self._run(SQL("ANALYZE {}").format(Identifier(table)))
        self._run(_SQL["regroup"])

    # ---- Counting, limits ------------------------------------------------------------------------

    def excluded(self) -> dict[str, int]:
        """Return how many candidates are out, by reason."""
        return dict(self._all(_SQL["excluded"]))

    def examples(self, reason: str) -> list[str]:
        """Return the keys of a few candidates that are out for this reason."""
        return [key for _, key in self._all(_SQL["excluded_examples"], [reason])]

    def class_counts(self) -> dict[int, tuple[int, int]]:
        """Return files and bytes of each class that are in; -1 for files without a label."""
        if self._question.labels is None:
            row = self._one(
                b"SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM candidate"
                b" WHERE reason IS NULL"
            )
            return {-1: row} if row[0] else {}
        return {label: (files, size) for label, files, size in self._all(_SQL["class_counts"])}

    def exclude_near_duplicates(self) -> None:
        """Keep one file of those that look alike."""
        self._run(_SQL["exclude_near_duplicates"])

    def exclude_classes(self, labels: list[int]) -> None:
        """Exclude whole classes, as too small."""
        self.dropped_classes.update(labels)
        self._run(_SQL["exclude_small_classes"], [labels])

    def limit(self, what: str, limit: int, seed: int) -> None:
        """Exclude what is beyond a limit for each `group` or `class`, or in `total`."""
        self._run(_SQL[f"exclude_over_{what}"], {"seed": b"%d:" % seed, "limit": limit})

    # ---- Splits ----------------------------------------------------------------------------------

    def groups(self) -> Groups:
        """Return what splits are made of: files by group and class."""
        name = "groups" if self._question.labels is None else "groups_by_class"
        return Groups(*read_bigints(self._connection, _SQL[name], 4))

    def former_splits(self, dataset_version_id: int, splits: list[str]) -> FormerSplits:
        """Return in which splits of a former version the members of groups were."""
        given = {"former": dataset_version_id, "splits": splits}
        return FormerSplits(*read_bigints(self._connection, _SQL["former_splits"], 3, given))

    def assign(self, group: Int64s, split: Int64s) -> None:
        """Say in which split each group is, and make the members."""
        self._run(_SQL["make_group_split"])
        write_bigints(self._connection, "group_split", (group, split))
        self._run(b"ANALYZE group_split")
        self._run(_SQL["make_member"])
        self._run(b"ANALYZE member")

    def split_table(self) -> list[Cell]:
        """Return files and bytes by split and class, of what will be there."""
        labels = self._question.labels
        name = "split_table_all" if labels and labels.multiple == "all" else "split_table"
        return [Cell(*row) for row in self._all(_SQL[name])]

    def totals(self) -> list[tuple[int, int, int]]:
        """Return (split, files, bytes)."""
        return self._all(
            b"SELECT split, count(*), sum(size_bytes)::bigint FROM member GROUP BY 1 ORDER BY 1"
        )

    def largest_group(self) -> int:
        """Return the files of the largest group."""
        (files,) = self._one(
            b"SELECT coalesce(max(files), 0) FROM"
            b" (SELECT count(*) AS files FROM member GROUP BY group_id) AS groups"
        )
        return files

    def leakage(self) -> dict[str, list[tuple[int, int, int]]]:
        """Count, by kind of kinship, what has members in both splits: (split, split, count)."""
        kinds = (*_LEAKAGE, "near") if self._question.near is not None else _LEAKAGE
        return {kind: _pairs(self._all(_SQL[f"leakage_{kind}"])) for kind in kinds}

    # ---- Rows ------------------------------------------------------------------------------------

    def rows(self, sample: int | None = None) -> Iterator[CandidateRow]:
        """Stream the members; with `sample`, only so many of each split and class."""
        extensions: dict[int, tuple[str, str]] = {
            number: (name, kind)
            for number, name, kind in self._all(
                b"SELECT file_extension_id, file_extension, type FROM file_type"
            )
        }
        with psycopg.ServerCursor(self._connection, "dataset_rows") as cursor:
            cursor.execute(rows_statement(self._question, sample))
            while rows := cursor.fetchmany(FETCH_ROWS):
                for node_id, sha256, size, kind, split, label, several, component, *more in rows:
                    extension, media_type = extensions[kind]
                    values, boxes = more
                    labels = tuple(several or (() if label is None else (label,)))
                    yield CandidateRow(
                        node_id, sha256.hex(), size, extension, media_type, split, labels,
                        component, values or {}, boxes or [],
                    )  # fmt: skip

    # ---- Keeping ---------------------------------------------------------------------------------

    def register(self, version: NewVersion, splits: list[str]) -> int:
        """Keep the version and its members; returns its id. Committed at the end of the block."""
        self._run(_SQL["insert_dataset"], [version.name])
        (version_id,) = self._one(_SQL["insert_version"], version._asdict())
        self._run(
            _SQL["insert_members"],
            {"dataset_version_id": version_id, "splits": splits, "classes": self.classes},
        )
        document = {
            "name": version.name,
            "version": version.version,
            "files": version.file_count,
            "size_bytes": version.size_bytes,
        }
        add_event(self._connection, "dataset.version_created", f"dataset {version.name}", document)
        return version_id

    def shown_statement(self) -> str:
        """Return statement and parameters of the selector as JSON."""
        document = {"statement": self.statement, "parameters": self.parameters}
        return json.dumps(document, sort_keys=True, default=_shown)

    # ---- Statements ------------------------------------------------------------------------------

    def _run(self, statement: bytes | Composed, given: Params | None = None) -> None:
        # Never prepared: the tables are others in the next transaction.
        self._connection.execute(statement, given, prepare=False)

    def _all(self, statement: bytes, given: Params | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, given, prepare=False).fetchall()

    def _one(self, statement: bytes, given: Params | None = None) -> tuple[Any, ...]:
        row = self._connection.execute(statement, given, prepare=False).fetchone()
        assert row is not None
        return row

    def _table(self, name: str, found: Composable) -> None:
        self._run(
            SQL("CREATE TEMPORARY TABLE {} ON COMMIT DROP AS {}").format(Identifier(name), found)
        )
        self._run(SQL("ANALYZE {}").format(Identifier(name)))


def _pairs(spread: list[tuple[Any, ...]]) -> list[tuple[int, int, int]]:
    """Count for each two splits what is in both; `spread` has (splits as bits, count)."""
    counts: dict[tuple[int, int], int] = {}
    for bits, count in spread:
        splits = [split for split in range(bits.bit_length()) if bits >> split & 1]
        for pair in itertools.product(splits, splits):
            counts[pair] = counts.get(pair, 0) + count
    return [(one, other, count) for (one, other), count in sorted(counts.items())]


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)
