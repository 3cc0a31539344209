"""Flickr: REST as XML and JSON, the Foundation's JSON, sizes and files; samples read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from api_checks import by_subject, counts, edges, fuzz, read, said, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sources.flickr import ADAPTERS

ADAPTER = ADAPTERS[0]
INFO = """<?xml version="1.0" encoding="utf-8" ?><rsp stat="ok">
<photo id="9000000001" secret="ab12" originalsecret="cd34" license="4" safety_level="0" views="12"
 media="photo"><owner nsid="1@N02" username="Ann" realname="" path_alias="Ann_B"/>
<title>Pier &amp; sea</title><description/>
<dates posted="1490376472" taken="1950-01-01 00:00:00" takengranularity="6" takenunknown="0"/>
<comments>3</comments><notes><note id="n1" author="2@N03"
 authorname="Bo">look &lt;b&gt;here&lt;/b&gt;</note></notes>
<tags><tag raw="North Sea">northsea</tag><tag raw="pier">pier</tag></tags>
<location latitude="52.5" longitude="4.5" accuracy="16"/></photo></rsp>"""
SIZES = """<rsp stat="ok"><sizes><size label="Square" width="75" height="75"
 source="https://live.staticflickr.com/1/9000000001_ab12_s.jpg" media="photo"/>
<size label="Original" width="3000" height="2000"
 source="https://live.staticflickr.com/1/9000000001_cd34_o.jpg" media="photo"/></sizes></rsp>"""
COMMENTS = """<rsp stat="ok"><comments photo_id="9000000001"><comment id="1-2-3" author="2@N03"
 authorname="Bo" datecreate="1500000000">Lovely &lt;a href="x"&gt;light&lt;/a&gt;</comment>
</comments></rsp>"""
CONTEXTS = """<rsp stat="ok"><pool title="Piers" id="77@N20" members="3"/>
<set title="Holidays" id="72157000000000001" view_count="5"/></rsp>"""
FAIL = '<rsp stat="fail"><err code="1" msg="Photo not found"/></rsp>'
LISTED = {"id": "9000000001", "owner": "1@N02", "ownername": "Ann", "title": "Pier",
          "license": "0", "dateupload": "1490376472", "datetaken": "2017-02-17 10:00:00",
          "datetakengranularity": "0", "datetakenunknown": "1", "tags": "a b", "latitude": 0,
          "longitude": 0, "accuracy": 0,
          "url_l": "https://live.staticflickr.com/1/9000000001_ab12_b.jpg",
          "width_l": "1024", "height_l": 700, "description": {"_content": "x"}}  # fmt: skip
JSON = {"photos": {"page": 1, "photo": [LISTED]}, "stat": "ok"}
PHOTO = {
    "id": "9000000001", "title": None, "description": "<i>grey</i> day", "machine_tags": {},
    "date_posted": {"type": "datetime.datetime", "value": "2017-03-24T17:27:52+00:00"},
    "date_taken": {"granularity": "month",
                   "value": {"type": "datetime.datetime", "value": "2007-03-01T00:00:00"}},
    "license": {"id": "cc-by-2.0", "label": "CC BY 2.0", "url": "x"}, "location": None,
    "owner": {"id": "1@N02", "path_alias": None, "realname": "Ann B", "username": "Ann"},
    "safety_level": "safe", "tags": ["pier"], "original_format": "jpg",
    "sizes": [{"height": 10, "width": 20, "label": "M", "media": "photo",
               "source": "https://live.staticflickr.com/1/9000000001_ab12.jpg"}],
}  # fmt: skip
FILES = {
    "i.xml": INFO,
    "s.xml": SIZES,
    "c.xml": COMMENTS,
    "x-9000000001.xml": CONTEXTS,
    "j.json": JSON,
    "f.json": {"photos": [PHOTO], "album": {"title": "T", "owner": {}}},
}


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("flickr-api"))
    # The one answer that is a failure although it came with HTTP 200.
    assert [(p.path.rpartition("/")[2], p.reason) for p in problems] == [
        ("TestGetSinglePhotoSizes.test_non_existent_photo_is_error_1_.0.flickr.photos.getSizes.xml",
         "Flickr answered with an error 1: Photo not found"),
    ]  # fmt: skip
    assert (
        sum(counts(records).values()) == 11 + 1 + 1 + 101 + 10 + 10 + 31 + 11 + 8 + 5 * 17 + 2 + 10
    )
    found: dict[str, list] = {}
    for record in records:
        found.setdefault(record.subject, []).append(record)
    foundation, info, sizes = found["flickr:post:32812033543"]
    assert said(foundation).title == said(info).title == "Puppy Kisses"
    assert said(info).view == 18043
    assert said(foundation).meta["license"] == said(info).meta["license"]
    assert said(info).meta["license"] == "United States Government Work"
    assert edges(foundation, "tagged") == edges(info, "tagged")
    assert edges(info, "alias", "authored", "contains") == [
        "flickr:user:30884892@N08 -alias-> flickr:username:coast_guard",
        "flickr:user:30884892@N08 -authored-> flickr:post:32812033543",
        "flickr:post:32812033543 -contains(0)-> flickr:media:32812033543",
    ]
    assert said(sizes, "flickr:media:32812033543").meta["width"] == 5172
    video, video_sizes = found["flickr:post:4960396261"]
    assert said(video).meta["media_type"] == "video"
    assert said(video_sizes, "flickr:media:4960396261").meta["media_type"] == "video"
    assert (said(video).meta["latitude"], said(video).view) == (28.656738, 486)
    miners = found["flickr:post:5240741057"][0]
    assert said(miners).meta["taken_granularity"] == "year"
    assert said(miners).title == "Christmas underground" and said(miners).view == 25075
    pup = found["flickr:post:2959326615"][0]
    assert said(pup).meta["taken_granularity"] == "circa"
    assert "flickr:post:2959326615 -reply-> flickr:note:72157618520987052" in edges(pup)
    assert said(pup, "flickr:note:72157618520987052").title == "Nice siberian husky!"
    textures = found["flickr:post:4452100167"][0]
    assert said(textures).meta["taken_time"] == datetime(2007, 3, 1, tzinfo=UTC)
    assert said(textures).meta["license"] == "CC BY-SA 2.0"


def test_samples_by_hand_of_collections():
    records, _ = read(ADAPTER, sample("flickr-api"))
    found = by_subject(records)
    assert edges(found["flickr:album:72157691336706490"]) == [
        "flickr:album:72157691336706490 -member-> flickr:post:53563844904"
    ]
    assert said(found["flickr:album:72157691336706490"]).view == 382
    assert said(found["flickr:group:663100@N21"]).title == '"Los mejores momentos de tu día"'
    gallery = found["flickr:gallery:72157721626742458"]
    assert edges(gallery) == [
        "flickr:user:72804335@N03 -authored-> flickr:gallery:72157721626742458",
        "flickr:gallery:72157721626742458 -member-> flickr:post:53563844904",
    ]
    assert (said(gallery).title, said(gallery).view) == ("paisatges", 152)
    owl = found["flickr:post:49021434741"]
    assert edges(owl, "member", "authored") == [
        "flickr:user:115357548@N08 -authored-> flickr:post:49021434741",
        "flickr:album:72157640898611483 -member-> flickr:post:49021434741",
    ]
    birds = found["flickr:post:52381250655"]
    assert edges(birds, "member") == [
        "flickr:gallery:72157677773252346 -member-> flickr:post:52381250655"
    ]
    assert said(birds).meta["safety_level"] == "safe"
    assert said(birds).meta["taken_granularity"] == "second"
    gulls = found["flickr:post:52611651477"]
    assert (said(gulls).meta["latitude"], said(gulls).meta["width"]) == (-34.91257, 1024)
    guess = found["flickr:post:53637883806"]
    assert "latitude" not in said(guess).meta and edges(guess, "tagged") == []
    george = found["flickr:user:34427469121@N01"]
    assert said(george).title == "George"


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
