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


@pytest.mark.parametrize(
    ("asked", "where", "shown"),
    [
        (" sea ", {"words": {"text": "sea"}}, "sea"),
        ("red se", {"words": {"text": "red se*"}}, "red se"),
        ("red sea ", {"words": {"text": "red sea"}}, "red sea"),
        ("sea* sun ", {"words": {"text": "sea* sun"}}, "sea* sun"),
        ("", None, ""),
        ("  !! ", None, ""),
        ("author:ann sea ", {"words": {"text": "sea", "author": "ann"}}, "sea author:ann"),
        (
            'tag:"blue sky" tag:sun',
            {"words": {"tag": "blue sky sun"}},
            "tag:blue tag:sky tag:sun",
        ),
        ("type:image", None, ""),
        ("type:image ext:png sea", {"media_type": ["image"], "extension": ["png"],
                            "words": {"text": "sea*"}}, "sea"),
        ("Source:twitter ", {"metadata": {"source": ["twitter"]}}, ""),
        ("batch:a-1 ", {"ingest_batch": ["a-1"]}, ""),
        ("re:zero ", {"words": {"text": "re:zero"}}, "re:zero"),
        ("date:2024-12 ", {"metadata": {"update_time": {"since": "2024-12-01",
                                                       "before": "2025-01-01"}}}, ""),
        ("date:2024 ", {"metadata": {"update_time": {"since": "2024-01-01",
                                                    "before": "2025-01-01"}}}, ""),
        ("date:2024-02-28 ", {"metadata": {"update_time": {"since": "2024-02-28",
                                                          "before": "2024-02-29"}}}, ""),
        ("since:2024-01-01 before:2024-02-01 ", {"metadata": {"update_time": {
            "since": "2024-01-01", "before": "2024-02-01"}}}, ""),
        ("near:48.1,-11.5,2.5km sea ", {"near": {
            "latitude": 48.1, "longitude": -11.5, "within_km": 2.5},
            "words": {"text": "sea"}}, "sea"),
        ("near:48,11,300m ", {"near": {"latitude": 48.0, "longitude": 11.0, "within_km": 0.3}}, ""),
        ("near:48,11 ", {"near": {"latitude": 48.0, "longitude": 11.0, "within_km": 5.0}}, ""),
    ],
)  # fmt: skip
def test_what_the_search_field_says(asked: str, where: object, shown: str):
    empty = Filters(filtering.empty_document())
    filters = filtering.searched(empty, asked)
    assert filters.document.get("where") == where
    assert filtering.words_of(filters.document) == shown
    assert filters.selector
    again = Filters(filtering.document_of(filtering.yaml_of(filters.document)))
    assert again.selector == filters.selector
    # Written again it is the same, but for a star; emptied, what became a filter stays.
    assert filtering.searched(filters, f"{shown} " if asked.endswith(" ") else shown) in (
        filters, filtering.searched(filters, asked),
    )  # fmt: skip
    emptied = filtering.searched(filters, "").document.get("where", {})
    assert "words" not in emptied


@pytest.mark.parametrize(
    "asked",
    ["type:paper ", "date:2024-13 ", "since:yesterday ", "near:Rome ", "near:91,0 ", "a " * 30],
)
def test_a_search_that_cannot_be_is_refused(asked: str):
    with pytest.raises(SelectorError):
        _ = filtering.searched(Filters(filtering.empty_document()), asked).selector


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
