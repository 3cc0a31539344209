"""Booru pages: typed XML, attributes, JSON, feeds and tags; ten sample records read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from api_checks import BOMB, by_subject, counts, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sources.booru import ADAPTERS, site_of_host

ADAPTER = ADAPTERS[0]
MD5 = "0123456789abcdef0123456789abcdef"
POST = f"""<?xml version="1.0"?><posts type="array"><post>
 <id type="integer">77</id><created-at type="dateTime">2018-10-11T12:33:35-04:00</created-at>
 <uploader-id type="integer">5</uploader-id><uploader-name>Ann B</uploader-name>
 <score type="integer">-3</score><source>https://www.pixiv.net/artworks/123456</source>
 <md5>{MD5}</md5><rating>s</rating><image-width type="integer">10</image-width>
 <image-height type="integer">20</image-height><tag-string>boat sea zed</tag-string>
 <fav-count type="integer">4</fav-count><parent-id type="integer">70</parent-id>
 <pixiv-id type="integer" nil="true"/><pool-string>pool:9 pool:series</pool-string>
 <is-deleted type="boolean">false</is-deleted><tag-string-artist>zed</tag-string-artist>
 <tag-string-character></tag-string-character><file-size type="integer">300</file-size>
 <file-url>/data/__boat__{MD5}.jpg</file-url>
 <large-file-url>/data/sample/sample-{MD5}.jpg</large-file-url>
 <preview-file-url>/data/preview/{MD5}.jpg</preview-file-url></post>
 <post><id type="integer">78</id><tag-string>gone</tag-string>
 <is-deleted type="boolean">true</is-deleted><parent-id type="integer" nil="true"/></post>
</posts>"""
ATTRIBUTES = f"""<posts count="1" offset="0"><post id="9" md5="{MD5}" tags=" one two "
 file_url="https://img3.gelbooru.com/images/01/23/{MD5}.png" sample_url="" width="5" height="6"
 creator_id="3" parent_id="" score="2" source="" rating="safe"
 created_at="Sat Oct 11 12:33:35 -0500 2014" status="active" has_children="false"/></posts>"""
NESTED = {
    "posts": [
        {"id": 4, "created_at": "2020-01-01T00:00:00.000+01:00", "uploader_id": 6,
         "file": {"md5": MD5, "url": f"https://static1.e621.net/data/{MD5}.webm", "width": 7,
                  "height": 8, "size": 9}, "score": {"up": 3, "down": -1, "total": 2},
         "tags": {"general": ["lake"], "artist": ["kim"], "species": ["fox"]}, "fav_count": 1,
         "sources": ["https://twitter.com/kim/status/55"], "pools": [12],
         "relationships": {"parent_id": 3}, "flags": {"deleted": False, "pending": True},
         "preview": {"url": None}, "rating": "s"}
    ]
}  # fmt: skip
MOEBOORU = [{"id": 8, "tags": "a b", "created_at": 1500000000, "creator_id": 2, "author": "Zoe",
             "md5": MD5, "file_url": f"https://files.yande.re/image/{MD5}/yande.re%208.png",
             "score": 0, "parent_id": None, "status": "deleted"}]  # fmt: skip
FEED = """<?xml version="1.0"?><rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>Boats - Zerochan Anime Image Board</title><link>http://www.zerochan.net/Boat</link>
<item><title>Boat</title><link>http://www.zerochan.net/4040</link>
<media:thumbnail url="http://s3.zerochan.net/240/40/40/4040.jpg"/>
<media:content url="http://s1.zerochan.net/600/40/40/4040.jpg" width="30" height="40"/>
<media:keywords> Blue Sky,
  Boat, Two
  Words </media:keywords></item></channel></rss>"""
TAGS = [{"name": "x", "post_count": 1, "category": 1}]
FILES = {
    "danbooru.donmai.us/p.xml": POST,
    "g.xml": ATTRIBUTES,
    "e.json": NESTED,
    "m.json": MOEBOORU,
    "z.rss": FEED,
    "danbooru.donmai.us/t.json": TAGS,
}


def test_what_a_person_can_do_is_said(tmp_path):
    files = {
        "1.json": [{"id": 1, "md5": MD5, "tags": "a"}, 5],
        "2.json": {"success": False, "message": "limited"},
        "3.xml": BOMB + b"<posts><post><id>&c;</id></post></posts>",
        "4.xml": "<posts><post>",
        "5.xml": "<html><body/></html>",
        "6.xml": '<posts count="0" offset="0"/>',
        "7.xml": "<posts><post>" + "<a>" * 50_000 + "</a>" * 50_000 + "</post></posts>",
    }
    records, problems = read(ADAPTER, write(tmp_path, files))
    assert records == []
    assert [(p.path, p.number) for p in problems] == [
        ("1.json", 0), ("1.json", 1), ("2.json", -1), ("3.xml", -1), ("4.xml", -1), ("5.xml", -1),
        ("6.xml", -1), ("7.xml", -1),
    ]  # fmt: skip
    assert "called like the site's host" in problems[0].reason
    assert "limited" in problems[2].reason
    assert "refused" in problems[3].reason
    assert problems[-1].reason == "nested deeper than 200"


@pytest.mark.parametrize(
    "host, site",
    [("danbooru.donmai.us", "danbooru"), ("raikou4.donmai.us", "danbooru"), ("yande.re", "yandere"),
     ("s3.zerochan.net", "zerochan"), ("files.yande.re", "yandere"), ("konachan.com", "konachan"),
     ("4chan.org", "site_4chan")],
)  # fmt: skip
def test_sites(host, site):
    assert site_of_host(host) == site


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("booru-pages"))
    assert problems == []
    assert counts(records) == {
        "danbooru.donmai.us/pack-loader-2-1.xml": 2,
        "danbooru.donmai.us/pack-loader-2-2.xml": 2,
        "danbooru.donmai.us/results.xml": 20,
        "danbooru.donmai.us/tags.json": 100,
        "www.zerochan.net/results.rss": 100,
    }
    found = by_subject(records)
    one = found["danbooru:post:3283117"]
    assert edges(one, "alias", "authored", "credited", "member", "contains", "linked") == [
        "danbooru:user:503835 -alias-> danbooru:username:inkujerr",
        "danbooru:user:503835 -authored-> danbooru:post:3283117",
        "danbooru:tag:yoruny -credited-> danbooru:post:3283117",
        "danbooru:album:14357 -member-> danbooru:post:3283117",
        "danbooru:post:3283117 -linked-> web:page:https://yoruny.tumblr.com/post/178951608919",
        "danbooru:post:3283117 -contains(0)-> danbooru:media:d598b15312f7949f6ee722ddadd24524",
    ]
    assert len(edges(one, "tagged")) == 35
    assert said(one).update_time == datetime(2018, 10, 11, 16, 33, 35, tzinfo=UTC)
    child = found["danbooru:post:3283105"]
    assert edges(child, "credited", "linked") == [
        "danbooru:tag:i_(yunyuniraaka) -credited-> danbooru:post:3283105",
        "danbooru:tag:ventunesimo -credited-> danbooru:post:3283105",
        "danbooru:post:3269118 -linked-> danbooru:post:3283105",
        "danbooru:post:3283105 -linked-> twitter:post:1049241534674006017",
    ]
    assert said(child).meta["status"] == "pending"
    # Its hash is no hash, so the post's number names the medium.
    odd = found["danbooru:post:2434967"]
    assert edges(odd, "contains", "linked") == [
        "danbooru:post:2434967 -linked-> pixiv:post:58080247",
        "danbooru:post:2434967 -contains(0)-> danbooru:media:2434967",
    ]
    pooled = found["danbooru:post:2434966"]
    assert edges(pooled, "member") == ["danbooru:album:8085 -member-> danbooru:post:2434966"]
    assert said(pooled).meta["score"] == 1 and said(pooled).meta["favorite_count"] == 1
    nobody = found["danbooru:post:2434960"]
    assert edges(nobody, "credited") == []
    assert said(nobody, "danbooru:user:14602").title == "Dbx"
    last = found["danbooru:post:2434945"]
    assert edges(last, "contains") == [
        "danbooru:post:2434945 -contains(0)-> danbooru:media:dcc00f4706c2f7f5e970e9f9d2bf32a2"
    ]


def test_samples_by_hand_of_tags_and_feeds():
    records, _ = read(ADAPTER, sample("booru-pages"))
    found = by_subject(records)
    tag = found["danbooru:tag:sugihara_azuki"]
    assert said(tag).meta == {"site": "danbooru", "post_count": 10, "tag_category": "artist"}
    assert said(found["danbooru:tag:walkr"]).meta["tag_category"] == "copyright"
    assert said(found['danbooru:tag:t-34_"tiger"']).meta["post_count"] == 2
    cross = found["zerochan:post:2034435"]
    assert said(cross).title == "Cross-Over"
    assert len(edges(cross, "tagged")) == 31
    assert "zerochan:tag:pokémon go (activity) -tagged-> zerochan:post:2034435" in edges(cross)
    assert edges(cross, "contains") == [
        "zerochan:post:2034435 -contains(0)-> zerochan:media:2034435"
    ]
    assert said(cross, "zerochan:media:2034435").meta["height"] == 900
    assert said(found["zerochan:post:2030292"]).title == "Konpaku Youmu"


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
