"""JSON objects one by one: their text as sent, and what is wrong with one costs no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.errors import LimitError, RecordError
from adapters.records.json_objects import ObjectReader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dictionaries(st.text(max_size=3).filter(lambda key: "\0" not in key), VALUES)),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_each_object_comes_with_its_own_text(objects: list[Any], indent: int | None, plain: bool):
    text = f" \n{json.dumps(objects, indent=indent, ensure_ascii=plain)}\r\n"
    found = list(ObjectReader().read(text))
    assert [json.loads(one.text) for one in found] == objects
    for one, value in zip(found, objects, strict=True):
        assert one.text in text
        assert one.value == value if not one.fault else "NUL" in one.fault


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"b": {"a": 1, "a": 2}}', "the key 'a' is there twice"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": -Infinity}', "-Infinity is no JSON"),
        ('{"a": 1e400}', "1e400 is beyond"),
        ('{"a": ' + "9" * 50 + "}", "more than 40 digits"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\udfff": 1}', "lone surrogate"),
        ('{"a": ["\\u0000"]}', "NUL"),
        ('{"a": ' + "[" * 300 + "]" * 300 + "}", "deeper"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "bytes; an object of at most 1,048,576"),
        ("3", "no object: '3'"),
        ('[{"a": 1}]', "no object"),
    ],
)
def test_a_fault_costs_its_own_object_only(member: str, said: str):
    reader = ObjectReader()
    first, broken, last = reader.read(f'[{{"a": 1}}, {member}, {{"a": 2}}]')
    assert (first.value, first.fault, last.value, last.fault) == ({"a": 1}, "", {"a": 2}, "")
    assert said in broken.fault and broken.value == {} and broken.text == member


def test_what_only_looks_like_an_odd_escape_is_kept():
    (found,) = ObjectReader().read('{"a": "\\\\u0000", "b": "\\ud83d\\udc26"}')
    assert found.value == {"a": "\\u0000", "b": "🐦"} and not found.fault


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 1} {"a": 2}', "[{}", "[{},]", "[{} {}]", "[{}] x", "[1, 2,, 3]"]
)
def test_what_is_no_json_is_refused_whole(text: str):
    with pytest.raises(RecordError):
        list(ObjectReader().read(text))
    assert ObjectReader().read_one(text).fault


def test_a_bomb_of_brackets_is_one_problem():
    with pytest.raises(LimitError):
        list(ObjectReader().read("[" * 10_000_000))
    assert "nested" in ObjectReader().read_one('{"a":' * 200_000).fault
