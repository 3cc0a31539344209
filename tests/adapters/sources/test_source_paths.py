"""The notation of paths: what each form finds, and that nothing in a record is ever an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.records.values import as_count, as_text
from adapters.sources.paths import compiled

RECORD: dict[str, Any] = {
    "a": {"b": [{"c": 1}, {"c": None}, {"c": "x"}], "n": 0},
    "names": ["@Ada", "", 3, "@Bob"],
    "words": "one two one",
    "wp:term": [["t"]],
    "empty": "",
    "kinds": [{"kind": "a", "n": 1}, {"kind": "b c", "n": 2}, {"kind": "b c", "n": 3}, 4],
    "numbers": {"one": 1, "two": 2},
    "^": {"id": "outer"},
}


@pytest.mark.parametrize(
    ("path", "first", "every"),
    [
        ("a.b[0].c", "1", ["1"]),
        ("a.b[].c", "1", ["1", "x"]),
        ("a.b[7].c", None, []),
        ("a.b.c", None, []),
        ("empty|absent|words", "one two one", ["one two one"]),
        ("a.b[2].c,words", "x", ["x", "one two one"]),
        ("names[]", "@Ada", ["@Ada", "3", "@Bob"]),
        ("names", None, ["@Ada", "3", "@Bob"]),
        ("names[]:at:lower", "ada", ["ada", "bob"]),
        ("words:words", "one", ["one", "two"]),
        ("a.n:nonzero|'none'", "none", ["none"]),
        ("{^.id}_{words}", "outer_one two one", ["outer_one two one"]),
        ("{^.id}_{absent}", None, []),
        ('"wp:term"[][]', "t", ["t"]),
        ("a.b[-1].c", "x", ["x"]),
        ("kinds[kind=b c].n", "2", ["2", "3"]),
        ("kinds[kind=d].n", None, []),
        (".:keys", "a", [*RECORD]),
        ("numbers:values", "1", ["1", "2"]),
        ("", None, []),
    ],
)
def test_what_a_path_finds(path: str, first: Any, every: list[Any]):
    assert compiled(path).first_of(as_text)(RECORD)[0] == first
    assert compiled(path).every_of(as_text)(RECORD)[0] == every


def test_what_is_of_another_type_is_seen_and_not_used():
    assert compiled("a|words").first_of(as_count)(RECORD) == (None, True)
    assert compiled("absent|empty").first_of(as_count)(RECORD) == (None, False)
    assert compiled("words|a.b[0].c").first_of(as_count)(RECORD) == (1, True)


@pytest.mark.parametrize(
    "path", ["a..b", "a[x]", "a[x=]", "a|", "a,,b", "a:nope", "'open", "{a", "a b", ":at"]
)
def test_a_path_that_is_written_wrongly_is_said_when_it_is_compiled(path: str):
    with pytest.raises(ValueError, match="'"):
        compiled(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)
PATHS = st.sampled_from(
    [
        "a.b[].c|c",
        "a[0].b,c:lower",
        "{a}_{b.c}",
        "a:words",
        "a:html",
        "b:signed",
        "a[][]:at",
        "a[].b",
        "a.b.c",
        "c:positive",
    ]
)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(record=JSON, path=PATHS)
def test_no_record_is_an_error(record: Any, path: str):
    value, seen = compiled(path).first_of(as_count)(record)
    assert value is None or (type(value) is int and seen)
    values, _ = compiled(path).every_of(as_text)(record)
    assert all(isinstance(one, str | int) and one != "" for one in values)
