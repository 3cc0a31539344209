"""The excerpt of a raw record: as much of it as fits, parts of objects too, within its bytes."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.raw_excerpt import EXCERPT_BYTES_MAX, raw_excerpt

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=300)
NESTED = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=80), inner),
    max_leaves=60,
)


def test_a_record_of_objects_alone_keeps_what_is_in_them():
    record = {"data": {"user": {"name": "ann", "about": "x" * 2_000}}, "tags": [{"n": 1}] * 900}
    excerpt = json.loads(raw_excerpt(record) or "")
    assert excerpt["_shortened"] is True
    assert excerpt["data"]["user"] == {"name": "ann", "about": "x" * 200}
    assert excerpt["tags"] == [{"n": 1}] * 3


def test_plain_fields_come_before_objects():
    record = {"inside": {"text": "y" * 200}, **{f"field{number}": "z" * 150 for number in range(9)}}
    excerpt = json.loads(raw_excerpt(record) or "")
    assert list(excerpt)[:6] == [f"field{number}" for number in range(6)]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=80), NESTED, max_size=30))
def test_it_is_json_within_its_bytes(record):
    excerpt = raw_excerpt(record)
    assert excerpt is not None and len(excerpt.encode()) <= EXCERPT_BYTES_MAX
    json.loads(excerpt)
