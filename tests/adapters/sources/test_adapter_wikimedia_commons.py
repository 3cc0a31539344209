"""Wikimedia Commons: pages, continuations, imageinfo, statements; samples read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from api_checks import by_subject, counts, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.wikimedia_commons import ADAPTERS

ADAPTER = ADAPTERS[0]
INFO = {
    "user": "Ann B", "timestamp": "2020-01-02T03:04:05Z", "size": 99, "width": 30, "height": 20,
    "sha1": "ab" * 20, "mime": "image/jpeg",
    "url": "https://upload.wikimedia.org/wikipedia/commons/1/1f/Pier_%C3%A9.jpg",
    "descriptionurl": "https://commons.wikimedia.org/wiki/File:Pier_%C3%A9.jpg",
    "descriptionshorturl": "https://commons.wikimedia.org/w/index.php?curid=50",
    "extmetadata": {
        "Artist": {"value": '<a href="//commons.wikimedia.org/wiki/User:Bo_C" title="x">Bo</a>'},
        "LicenseShortName": {"value": "CC BY 4.0"},
        "DateTimeOriginal": {"value": '1891<div style="display: none;">QS</div>'},
        "Categories": {"value": "Piers|North Sea"},
        "ObjectName": {"value": "The pier"},
    },
}  # fmt: skip
PAGE = {"pageid": 50, "ns": 6, "title": "File:Pier é.jpg", "imageinfo": [INFO]}


def snak(name, value):
    return {"mainsnak": {"property": name, "snaktype": "value", "datavalue": {"value": value}}}


STATEMENTS = {
    "P180": [{**snak("P180", {"id": "Q42"}), "id": "M50$aa-bb"}],
    "P12120": [snak("P12120", "777000")],
}
FILES = {"p.json": {"query": {"pages": {"50": PAGE}}}, "i.json": INFO, "s.json": STATEMENTS,
         "e.json": {"entities": {"M50": {"id": "M50", "statements": STATEMENTS,
                                         "labels": {"de": {"value": "x"}}}}}}  # fmt: skip


def test_what_a_person_can_do_is_said(tmp_path):
    files = {
        "1.json": {"query": {"pages": {"-1": {"title": "File:No.jpg", "missing": ""}}}},
        "2.json": {"error": {"code": "x", "info": "Too many titles"}},
        "3.json": {"extmetadata": {"Artist": {"value": "<a>x</a>"}}},
        "4.json": {"claims": [snak("P180", {"id": "Q1"})]},
        "5.json": {"query": {"search": []}},
    }
    records, problems = read(ADAPTER, write(tmp_path, files))
    assert records == []
    reasons = [problem.reason for problem in problems]
    assert "no such page" in reasons[0] and "File:No.jpg" in reasons[0]
    assert reasons[1] == "Commons answered with an error: Too many titles"
    assert "no page id" in reasons[2] and "(M...)" in reasons[3]
    assert reasons[4].startswith("no known response")
    assert ADAPTER.sniff(ScrapeFolder.of(str(tmp_path))).confidence < 0.8


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("wikimedia-commons-api"))
    # A fragment with the artist's name and nothing that says of which file.
    assert [p.path for p in problems] == ["image_info_artist_link.json"]
    assert counts(records) == {
        "audio_filedata_ogg.json": 1,
        "continuation/wmc_pretty123.json": 9,
        "image_data_example.json": 1,
        "image_data_missing_imageinfo.json": 1,
        "response_large_0.json": 1,
        "sdc/existing/M27807191_P7482.json": 1,
        "sdc/existing/M51747012_P7482.json": 1,
        "sdc/photo_53234140350.json": 1,
    }
    found = by_subject(records)
    c = "wikimedia_commons"
    assert edges(found[f"{c}:post:120786580"]) == [
        f"{c}:username:Marcel coenders -authored-> {c}:post:120786580",
        f"{c}:post:120786580 -contains(0)-> {c}:media:120786580",
    ]
    volcano = found[f"{c}:post:18263872"]
    assert said(volcano).update_time == datetime(2015, 10, 31, 23, 0, 49, tzinfo=UTC)
    assert said(volcano).meta["artist"].startswith("The original uploader was Elvezio")
    assert edges(volcano, "linked") == [
        f"web:page:https://it.wikipedia.org/wiki/Michinmahuida -linked-> {c}:post:18263872"
    ]
    assert len(edges(volcano, "tagged")) == 8
    street = found[f"{c}:post:44672185"]
    assert said(street).meta["artist"] == "Eckhard Henkel"
    assert (said(street).meta["latitude"], said(street).meta["usage_count"]) == (49.41158, 3)
    assert said(street).author == f"{c}:username:Hasenläufer"
    house = found[f"{c}:post:44672190"]
    assert (said(house).meta["width"], said(house).meta["license"]) == (5152, "CC BY-SA 4.0")
    assert said(house).meta["taken_time"] == datetime(2015, 9, 12, 13, 51, 49, tzinfo=UTC)
    book = found[f"{c}:post:44672210"]
    assert said(book).meta["taken"] == "1925" and "taken_time" not in said(book).meta
    assert said(book).author == f"{c}:username:Fæ"
    munch = found[f"{c}:post:44672212"]
    assert (said(munch).meta["taken"], said(munch).meta["artist"]) == ("1891", "Edvard Munch")
    assert said(munch).meta["usage_count"] == 16 and len(edges(munch, "linked")) == 16
    whole, part = [r for r in records if r.subject == f"{c}:post:81754323"]
    assert edges(whole, "contains") == [f"{c}:post:81754323 -contains(0)-> {c}:media:81754323"]
    # A page without imageinfo is a post without a medium.
    assert edges(part) == []
    assert said(part).title == "20120925 PlozevetBretagne LoneTree DSC07971 PtrQs"
    assert edges(found[f"{c}:post:27807191"]) == [
        f"{c}:post:27807191 -linked-> flickr:post:2675972715",
        f"{c}:post:27807191 -linked-> web:page:"
        "https://collections.leventhalmap.org/search/commonwealth:3f4638568",
    ]
    assert edges(found["flickr:post:53234140350"]) == [
        "flickr:user:64018555@N03 -authored-> flickr:post:53234140350"
    ]


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
