"""YAML that people write: lines, limits, and that every reader of such a document keeps to them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.actions.contract.check import check_contract
from base.documents import DocumentError, Limits, read_document
from base.errors import UsageError
from datasets.choice.definition_file import read_definition
from datasets.definition.errors import DefinitionError
from gui.widgets.forms import Field, filled_in
from sql.core.errors import SelectorError
from sql.selector.document import parse_selector

LIMITS = Limits(size_bytes_max=1 << 20, levels_max=50, values_max=5_000)


def refusal(data: str | bytes) -> tuple[int, str]:
    with pytest.raises(DocumentError) as caught:
        read_document(data, LIMITS)
    return caught.value.line, caught.value.reason


def test_every_key_and_item_has_its_line():
    placed = read_document("a: 1\nb:\n  - x\n  - {c: 2024-03-01,\n     d: }\n", LIMITS)
    assert placed.value["b"][0] == "x" and placed.value["b"][1]["d"] is None
    assert placed.lines == {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4, ("b", 1, "d"): 5,
    }  # fmt: skip
    assert placed.line_of(("b", 1, "e", 7)) == 4
    assert read_document("# nothing", LIMITS).value is None


# As deep as the limit and one more, beyond what newer readers take themselves, and far beyond.
@pytest.mark.parametrize("levels", [51, 999, 1_001, 200_000])
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "[\n"])
def test_too_many_levels_are_told_the_same_however_many(opening: str, levels: int):
    if opening == "- ":
        levels = min(levels, 20_000)
    line, reason = refusal(opening * levels)
    assert reason == "nested deeper than 50 levels"
    assert line >= 1 if opening == "[\n" else line == 1


def test_as_many_levels_as_the_limit_are_read():
    assert read_document("[" * 50 + "]" * 50, LIMITS).value == eval("[" * 50 + "]" * 50)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("x: 1\na: &x [1]\nb: *x", 3, "aliases (*name) are not taken; write it out"),
        ("a: !!python/object:os.system x", 1, "tags (!name) are not taken; leave it out"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' is there twice"),
        ("a:\n  1: 2", 2, "a key that is no text; put it into quotes"),
        ("? [a]\n: b", 1, "a key that is no text; put it into quotes"),
        ("a: 1\n<<: {b: 2}", 2, "a key that is no text; put it into quotes"),
        ("a: 1\nb: 2024-13-45", 2, "'2024-13-45' cannot be read"),
        (b"a: 1\nb: \xff", 2, "byte 8 is no UTF-8"),
        ("x" * (1 << 20) + "x", 1, "has more than 1,048,576 bytes"),
        ("[" + "1, " * 5_000 + "1]", 1, "has more than 5,000 values"),
    ],
)
def test_what_is_not_taken_is_told_with_its_line(data: str | bytes, line: int, reason: str):
    assert refusal(data) == (line, reason)


@pytest.mark.parametrize(("text", "line"), [("a: 1\nb: [", 2), ("a: 1\n\tb: 2", 2), ("a\0", 1)])
def test_what_is_no_yaml_says_so(text: str, line: int):
    told, reason = refusal(text)
    assert reason.startswith("is no YAML: ")
    assert told in (line, line + 1)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_it_reads_what_the_plain_reader_reads(value: object):
    text = yaml.safe_dump(value)
    assert read_document(text, Limits(1 << 20, 200, 5_000)).value == yaml.safe_load(text) == value


def selector(text: str) -> str:
    with pytest.raises(SelectorError) as caught:
        parse_selector(text)
    return str(caught.value)


def definition(text: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        read_definition(text)
    return str(caught.value)


def form(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        filled_in([Field("document", "document", "Document")], {"document": text})
    return str(caught.value)


def contract(text: str) -> str:
    return " ".join(map(str, check_contract(text)))


@pytest.mark.parametrize("reader", [selector, definition, form, contract])
def test_every_reader_refuses_the_same(reader: Callable[[str], str]):
    for text, said in (
        ("a: 1\na: 2", "the key 'a' is there twice"),
        ("a: &a [1]\nb: *a", "aliases (*name) are not taken"),
        ("a: !!set {x}", "tags (!name) are not taken"),
        ("[" * 5_000, "nested deeper than "),
        ("- " * 5_000, "nested deeper than "),
        ("a: [", "is no YAML"),
    ):
        told = reader(text)
        assert said in told and "line " in told, told
