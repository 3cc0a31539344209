"""Facets: each value finds as many nodes as is said beside it."""

from __future__ import annotations

import pytest
from selector_world import insert_world, make_world

from gui.core import filters as filtering
from gui.core.filters import FACETS, Filters
from sql import Database, parse_selector
from sql.core.declared import Column, DeclaredTable
from sql.database import node_groups
from sql.datasets import explore_book

LABELS = DeclaredTable(
    name="kind",
    kind="action",
    version=1,
    comment="Test",
    columns=(Column(name="label", type="text", comment="Test"),),
)


@pytest.fixture
def filled(database: Database) -> Database:
    """A world with tags of people, labels and a dataset."""
    insert_world(database, make_world(3))
    database.declare(LABELS)
    for name, where in (("red", "{media_type: image}"), ("blue", "{is_virtual: true}")):
        selector = parse_selector(f"{{version: 1, where: {where}}}")
        node_groups.change(database, "tag", name, selector, "ada")
    with database.connection() as connection:
        for statement in (
            "INSERT INTO action (action_id, name, type) VALUES (77, 'kind', 'AC5')",
            "INSERT INTO result_kind (node_id, action_event_id, label) SELECT node_id, 1,"
            " CASE WHEN node_id % 3 = 0 THEN 'a: cat' ELSE 'dog' END FROM physical_content",
            "INSERT INTO dataset (name) VALUES ('pets')",
            "INSERT INTO dataset_version (dataset_id, version, definition, selector, statement,"
            " seed, layout_id, manifest_key, document_key, store_batches, file_count, size_bytes,"
            " entry_count, entry_size_bytes, report) SELECT dataset_id, 1, '', '', '', 1, 'x',"
            " sha256('x'), sha256('x'), '', 1, 1, 1, 1, '' FROM dataset",
            "INSERT INTO dataset_member (dataset_version_id, node_id, split)"
            " SELECT 1, node_id, 'train' FROM physical_content WHERE node_id % 2 = 0",
        ):
            connection.execute(statement)
    return database


def test_a_value_finds_what_is_counted_beside_it(filled: Database):
    empty = Filters(filtering.empty_document())
    facets = filled.explore.facets(empty.selector)
    for facet in FACETS:
        values = getattr(facets, facet)
        assert values, facet
        for one in values:
            if one.value == "none":
                continue
            asked = filtering.toggled(empty, facet, one.value)
            found = filled.aggregate(asked.selector).count
            assert (facet, one.value, found) == (facet, one.value, one.nodes)
            # It is one chip, the same from its address and its YAML, and can be taken out again.
            assert filtering.values_of(asked.document, facet) == [one.value]
            written = filtering.document_of(filtering.yaml_of(asked.document))
            assert filtering.values_of(written, facet) == [one.value]
            (chip,) = filtering.chips_of(written)
            assert filtering.without(Filters(written), chip) == empty
            assert filtering.toggled(asked, facet, one.value) == empty
    assert {one.title for one in facets.tag} >= {"red", "blue"}


def test_values_are_taken_beside_what_is_asked_for():
    written = "{version: 1, where: {ancestor: {within: 2}, result: {action: kind}}}"
    asked = Filters(filtering.document_of(written))
    red = filtering.toggled(asked, "tag", "people:tag:red")
    both = filtering.toggled(red, "tag", "people:tag:blue")
    assert red.selector and filtering.values_of(both.document, "tag") == [
        "people:tag:red", "people:tag:blue",
    ]  # fmt: skip
    # The ancestor of before is asked for, too; the result of any label goes on standing.
    assert both.document["where"]["all"] == [{"ancestor": {"within": 2}}]
    assert both.document["where"]["result"] == {"action": "kind"}
    month = filtering.toggled(asked, "month", "2024-05")
    other = filtering.toggled(month, "month", "2024-12")
    assert filtering.values_of(other.document, "month") == ["2024-12"]
    cat = filtering.toggled(filtering.toggled(asked, "label", "kind:cat"), "label", "kind:dog")
    assert filtering.values_of(cat.document, "label") == ["kind:cat", "kind:dog"]
    assert filtering.values_of(
        filtering.toggled(cat, "label", "other:x").document, "label"
    ) == ["other:x"]  # fmt: skip


def test_what_takes_too_long_to_count_is_left_out(
    filled: Database, monkeypatch: pytest.MonkeyPatch
):
    empty = Filters(filtering.empty_document())
    whole = filled.explore.facets(empty.selector)
    monkeypatch.setattr(explore_book, "FACET_NODES_MAX", 1)
    assert sum(one.nodes for one in filled.explore.facets(empty.selector).label) <= 1
    monkeypatch.setattr(explore_book, "MORE_FACETS_TIMEOUT_MS", 500)
    with filled.connection() as connection:
        connection.execute("LOCK TABLE dataset_member")
        found = filled.explore.facets(empty.selector)
    assert (found.source, found.author) == (whole.source, ())
