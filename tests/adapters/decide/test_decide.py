"""Deciding about JSON documents: nothing is lost, order means nothing, names are safe."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.decide.apart import Group, decide_apart
from adapters.decide.decision import Thresholds, decide
from adapters.decide.plan import edited
from adapters.decide.profile import Sample, profile
from adapters.decide.rows import RowMaker, document_of
from adapters.decide.shapes import grouped, keys_of, shape_of
from base.errors import UsageError

KEYS = st.sampled_from(
    ["id", "Id", "a", "A", "select", "Ünïcode", "", "a b", "x" * 90, "extra", "[]"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["2024-05-31T12:00:00Z", "2024-02-30", "2024-05-31", "0001-01-01T00:00:00Z"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(KEYS | st.text(max_size=4), VALUES, max_size=8)


def without_nulls(value: Any) -> Any:
    """Leave out members that are null: not there means the same. Those of lists stay."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nulls(one) if isinstance(one, dict | list) else one for one in value]
    return value


def same(one: Any, other: Any) -> bool:
    """Compare JSON as text, so that true is not 1; an integer in a column of numbers may be one."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@settings(max_examples=120, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=12), DOCUMENTS)
def test_every_value_is_in_a_row_or_in_the_rest(documents: list[Any], foreign: dict[str, Any]):
    decision = decide(documents, "things")
    for plan in (decision.plan, decision.table):
        maker = RowMaker(plan)
        declared = {table.name: table for table in plan.tables(1)}
        for document in (*documents, foreign):
            rows = maker.rows(document)
            for table, values in rows:
                assert all(declared[table].column(name) for name in values)
            found = document_of(plan, json.loads(json.dumps(rows)))
            assert same(without_nulls(found), without_nulls(document)), (plan, rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(DOCUMENTS, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_order_means_nothing(documents: list[Any], order: random.Random):
    def decided(given: list[Any]) -> Any:
        sample = Sample(8)
        for document in given:
            text = json.dumps(document, sort_keys=True)
            sample.add(hashlib.sha256(text.encode()).digest(), document)
        return decide(sample.documents(), "things")

    shuffled = [*documents, *documents]
    order.shuffle(shuffled)
    assert decided(shuffled) == decided(documents)
    shapes = {shape_of(keys_of(one)): keys_of(one) for one in documents}
    turned = dict(reversed(shapes.items()))
    counts = {name: len(keys) for name, keys in shapes.items()}
    assert grouped(shapes, counts) == grouped(turned, counts)
    assert sorted(name for group in grouped(shapes, counts) for name in group) == sorted(shapes)


def pets(count: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "id": number,
            "name": f"Rex {number}",
            "bornAt": f"2024-05-{number % 28 + 1:02d}T12:00:00+02:00",
            "day": "2024-05-31",
            "weight": 3 if number % 2 else 3.5,
            "owner": {"name": "Ann", "id": number % 3},
            "tags": ["a", "b"],
            "visits": [{"at": "2020-01-01", "cost": 1.5}, {"at": "2020-01-02"}],
            "order": number % 2 == 0,
            "Name": None if number % 4 else "R",
            "seen_at": 1_700_000_000 + number,
        }
        for number in range(count)
    ]


def test_what_a_person_would_make_a_table_of_is_one():
    plan = decide(pets(), "pets").plan
    assert [(column.name, column.type) for column in plan.columns] == [
        ("own_id", "bigint"),
        ("name", "text"),
        ("born_at", "timestamptz"),
        ("day", "date"),
        ("weight", "double precision"),
        ("owner_name", "text"),
        ("owner_id", "bigint"),
        ("tags", "text[]"),
        ("order_", "boolean"),
        ("name_2", "text"),
        ("seen_at", "bigint"),
    ]
    (child,) = plan.children
    assert child.name == "pets_visits"
    assert [(column.name, column.type) for column in child.columns] == [
        ("at", "date"),
        ("cost", "double precision"),
    ]
    assert {column.name for column in plan.columns if column.is_indexed} >= {"own_id"}
    rows = RowMaker(plan).rows({"id": "nine", "visits": [{"at": "2020-01-01", "who": 1}], "z": 1})
    assert rows == [
        ("pets", {"extra": '{"id":"nine","z":1}'}),
        ("pets_visits", {"member_position": 0, "at": "2020-01-01", "extra": '{"who":1}'}),
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({f"key{number}": 1 for number in range(21)}, "21 top-level keys"),
        ({"a": {"b": {"c": 1}}}, "depth 3"),
        ({"a": [{"b": {"c": 1}}]}, "not flat"),
        ({"a": {"b": [{"c": 1}]}}, "not flat"),
        ({}, "no key"),
    ],
)
def test_what_is_no_table_says_why(document: dict[str, Any], reason: str):
    decision = decide([document] * 3, "things")
    assert decision.plan.form == "jsonb"
    assert any(reason in line for line in decision.reasons), decision.reasons


def test_documents_that_have_little_in_common_stay_json():
    documents = [{f"k{number % 8}": 1, f"k{(number + 3) % 8}": 1} for number in range(64)]
    decision = decide(documents, "things")
    assert decision.plan.form == "jsonb" and "average stability 0.2" in decision.reasons[0]
    lower = Thresholds(stability_min=0.2)
    assert decide(documents, "things", lower).plan.form == "table"


def test_a_path_of_many_kinds_is_json_and_a_rare_one_gets_no_column():
    documents = [{"a": number if number % 2 else "x", "b": 1} for number in range(60)]
    documents[0]["rare"] = 1
    plan = decide(documents, "things").plan
    assert {column.name: column.type for column in plan.columns} == {"a": "jsonb", "b": "bigint"}


def test_identities_and_times_are_recognised():
    found = profile(pets())
    assert found["id",].is_id and not found["owner", "id"].is_id
    assert found["seen_at",].epoch == "s" and found["weight",].epoch is None
    assert found["visits", "[]", "at"].of == 80
    assert found["visits", "[]", "cost"].present == 40


def test_a_number_that_postgresql_writes_as_digits_is_one():
    # As `document::text` has 1e23 and 1.5e300.
    texts = [{"x": 10**23}, {"x": 15 * 10**299}, {"x": 0.5}]
    plan = decide(texts, "things").plan
    assert [(column.name, column.type) for column in plan.columns] == [("x", "double precision")]
    assert RowMaker(plan).rows(texts[0]) == [("things", {"x": 10**23})]
    assert RowMaker(plan).rows({"x": 2**100 + 1}) == [
        ("things", {"extra": f'{{"x":{2**100 + 1}}}'})
    ]


def test_a_million_keys_are_one_shape_and_no_table():
    document = {f"key{number}": number for number in range(1_000_000)}
    assert keys_of(document) == {"*"}
    assert decide([document], "things").plan.form == "jsonb"


def test_keys_that_are_values_make_no_shapes():
    days = [{f"2024-05-{day:02d}": day} for day in range(1, 29)]
    assert len({shape_of(keys_of(one)) for one in days}) == 1


def together(**documents: int) -> set[str]:
    """Return the groups of shapes, whose keys are the letters of their names."""
    shapes = {shape_of(frozenset(keys)): frozenset(keys) for keys in documents}
    counts = {shape_of(frozenset(keys)): count for keys, count in documents.items()}
    found = [["".join(sorted(shapes[name])) for name in group] for group in grouped(shapes, counts)]
    return {" ".join(sorted(group)) for group in found}


def test_what_is_alike_belongs_together():
    assert together(abc=1, abd=2, xyz=3, wxy=4) == {"abc abd", "wxy xyz"}


def test_two_kinds_do_not_meet_by_what_lies_between_them():
    """As gapminder and its forecasts do, which share a few keys; a broken row has only these."""
    assert together(abcdef=60, defghi=50, bcdefg=1) == {"abcdef bcdefg", "defghi"}


def test_a_map_is_one_column_and_a_document_of_lists_alone_is_tables():
    documents = [
        {"of": {f"2024-01-{day:02d}": day}, "many": {f"k{n}": n for n in range(25)}, "name": "x"}
        for day in range(1, 9)
    ]
    plan = decide(documents, "things").plan
    assert {column.name: column.type for column in plan.columns} == {
        "of": "jsonb",
        "many": "jsonb",
        "name": "text",
    }
    graph = {"nodes": [{"name": "a"}, {"name": "b"}], "links": [{"source": 0, "target": 1}]}
    plan = decide([graph], "graph").plan
    assert plan.form == "table" and {child.name for child in plan.children} == {
        "graph_nodes",
        "graph_links",
    }
    assert decide([{"x": [[1], [2]], "y": [[3]]}], "things").plan.form == "jsonb"


def test_a_person_renames_retypes_and_drops():
    plan = decide(pets(), "pets").plan
    changed = edited(plan, renames={"own_id": "pet_id"}, types={"weight": "text"}, drops=("day",))
    names = {column.name: column.type for column in changed.columns}
    assert names["pet_id"] == "bigint" and names["weight"] == "text" and "day" not in names
    rows = RowMaker(changed).rows(pets()[0])
    assert json.loads(rows[0][1]["extra"]) == {"day": "2024-05-31", "weight": 3.5}
    for wrong in (
        {"renames": {"own_id": "name"}},
        {"renames": {"own_id": "Robert'); DROP TABLE"}},
        {"renames": {"own_id": "node_id"}},
        {"types": {"own_id": "money"}},
        {"drops": ("nothing",)},
    ):
        with pytest.raises(UsageError):
            edited(plan, **wrong)


def test_apart_says_the_same_and_a_bomb_costs_its_own_group_only():
    texts = [json.dumps(one) for one in pets()]
    bomb = "[" * 100_000 + "]" * 100_000
    groups = [Group("pets", texts), Group("bomb", [bomb]), Group("animals", texts)]
    first, broken, last = decide_apart(groups, Thresholds())
    assert first == decide(pets(), "pets")
    assert broken.plan.form == "jsonb" and "could not be looked at" in broken.reasons[0]
    assert last == decide(pets(), "animals")
