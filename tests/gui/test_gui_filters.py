"""Chips, address and YAML are three views of one selector."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from base.errors import UsageError
from gui.core import filters as filtering
from gui.core.filters import Filters, chips_of, document_of, filters_of
from sql import SelectorError

WRITTEN = """
version: 1
where:
  media_type: [image, video]
  metadata: {source: [twitter], title: {contains: "sea & sand"}}
  not: {extension: gif}
include_deleted: true
"""


def read_again(filters: Filters) -> Filters:
    return filters_of(dict(parse_qsl(urlsplit(filters.address).query)))


def test_address_and_yaml_mean_the_same():
    filters = Filters(document_of(WRITTEN), oldest_first=True)
    again = read_again(filters)
    assert again == filters and again.selector == filters.selector
    assert document_of(filtering.yaml_of(filters.document)) == filters.document


def test_chips_are_the_whole_document():
    filters = Filters(document_of(WRITTEN))
    labels = {chip.label for chip in chips_of(filters.document)}
    assert labels == {
        "type: image",
        "type: video",
        "source: twitter",
        "title contains sea & sand",
        'not: {"extension": ["gif"]}',
        "with deleted",
    }
    while chips := chips_of(filters.document):
        filters = filtering.without(filters, chips[0])
        assert filters.selector is not None
    assert filters.document == filtering.empty_document()


def test_a_facet_is_taken_in_and_out():
    filters = Filters(filtering.empty_document())
    one = filtering.toggled(filters, "source", "twitter")
    two = filtering.toggled(one, "source", "reddit")
    assert two.document["where"] == {"metadata": {"source": ["twitter", "reddit"]}}
    assert filtering.without_facet(two, "source") == filters
    assert filtering.toggled(one, "source", "twitter") == filters


def test_words_are_searched_for():
    filters = filtering.searched(Filters(filtering.empty_document()), " sea ")
    assert filtering.words_of(filters.document) == "sea"
    assert filtering.searched(filters, "").document == filtering.empty_document()


def test_a_link_may_name_facets():
    filters = filters_of({"media_type": "image,video", "ingest_batch": "demo"})
    assert filtering.values_of(filters.document, "media_type") == ["image", "video"]
    assert filtering.values_of(filters.document, "ingest_batch") == ["demo"]


@pytest.mark.parametrize("text", ["nonsense", "{", '{"version": 2}', "[1]", "version: 1\nwher: {}"])
def test_a_broken_selector_is_explained(text: str):
    with pytest.raises(SelectorError) as refused:
        filters_of({"s": text})
    assert filtering.problems_of(refused.value)


def test_an_address_has_a_limit():
    document = {"version": 1, "where": {"ingest_batch": ["x" * 100] * 900}}
    with pytest.raises(UsageError, match="too long"):
        _ = Filters(document).address
