"""Feeds: hand-written ones with their quirks, and the samples, read by eye."""

from __future__ import annotations

from pathlib import Path

import pytest
import reading_checks as checks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sources.feeds import ADAPTERS

FEED = ADAPTERS[0]

RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"
     xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"
     xmlns:media="http://search.yahoo.com/mrss/" xmlns:slash="http://purl.org/rss/1.0/modules/slash/">
<channel><title>Stones &amp; Walls</title><link>http://walls.test/</link>
<atom:link rel="self" href="http://walls.test/feed.rss"/>
<item><title>One</title><guid isPermaLink="false">17</guid><link>/one</link>
  <pubDate>Wed, 17 Jan 2018 15:50:00 EST</pubDate><author>ann@walls.test (Ann)</author>
  <category>Granite</category><slash:comments>4</slash:comments>
  <enclosure url="http://cdn.test/a/one.mp3?x=1" length="0" type="audio/mpeg"/>
  <media:thumbnail url="http://cdn.test/one.jpg"/><itunes:duration>1:02:03</itunes:duration></item>
<item><title>Same</title><guid>http://walls.test/2</guid><pubDate>never</pubDate></item>
<item><title>Same again</title><guid>http://walls.test/2</guid></item>
<item/>
</channel></rss>"""


def test_json_feed(tmp_path: Path):
    document = """{"version": "https://jsonfeed.org/version/1.1", "title": "J",
      "feed_url": "http://j.test/f.json", "authors": [{"name": "Bo", "url": "http://j.test/bo"}],
      "items": [{"id": "http://j.test/1", "url": "http://j.test/1",
        "content_html": "<p>Hi &amp; ho</p>",
        "date_published": "2020-02-03T04:05:06+02:00", "tags": ["a"],
        "attachments": [{"url": "http://j.test/m.mp4", "mime_type": "video/mp4",
                         "size_in_bytes": 12, "duration_in_seconds": 3}]}, 7]}"""
    records, problems = checks.read(FEED, checks.write(tmp_path, {"f.json": document}))
    assert not problems
    checks.assert_says(
        records[1],
        node="feed:post:http://j.test/1",
        title="Hi & ho",
        time="2020-02-03T02:05:06+00:00",
        author="feed:user:http://j.test/bo",
    )
    checks.assert_says(
        records[1], 1, node="feed:media:http://j.test/m.mp4", media_size_bytes=12, duration_s=3.0
    )


# Place, subject, title, time, author, number of contained media.
SAMPLES = [
    ("feedjira/InvalidDateFormat.xml", 0, "feed:post:http://example.com/item0",
     "Item 0 with an invalid date", "2017-10-16T15:10:00+00:00", None, 0),
    ("feedjira/itunes.xml", 1, "feed:post:http://example.com/podcasts/archive/aae20050608.mp3",
     "Socket Wrench Shootout", "2005-06-08T19:00:00+00:00",
     "feed:username:Jane Doe @ http://www.example.com/podcasts/everything/index.html", 1),
    ("feedjira/youtube_atom.xml", 0, "youtube:post:5shykyfmb28",
     "The Google app: Questions Title", "2015-05-04T00:01:27+00:00",
     "youtube:channel:UCK8sQmJBp8GCxrOtXWBpyEA", 0),
    ("feedjira/youtube_atom.xml", 1, "youtube:post:xfFHnBQ6nQg",
     "Project Fi: Innovating in connectivity and communication", "2015-04-23T15:29:38+00:00",
     "youtube:channel:UCK8sQmJBp8GCxrOtXWBpyEA", 0),
    ("feedjira/TechCrunch.xml", 0,
     "feed:post:http://techcrunch.com/?p=446154",
     "Angie’s List Sets Price Range IPO At $11 To $13 Per Share; Valued At Over $600M",
     "2011-11-02T17:25:27+00:00",
     "feed:username:Leena Rao @ http://feeds.feedburner.com/Techcrunch", 2),
    ("feedjira/itunes_feedburner.xml", 0,
     "feed:post:https://feeds.feedburner.com/welcometonightvalepodcast"
     "#prx_126_e3dafc45-a202-42d0-a55b-216e733a2d7a",
     "Patreon Preview: Behind the Scenes (September 2023)", "2023-09-22T16:30:15+00:00",
     "feed:username:Night Vale Presents @ "
     "https://feeds.feedburner.com/welcometonightvalepodcast", 1),
    ("feedjira/json_feed.json", 0,
     "feed:post:http://inessential.com/2017/06/02/james_dempsey_and_the_breakpoints_benefi",
     "James Dempsey and the Breakpoints Benefit App Camp for Girls", "2017-06-03T05:05:47+00:00",
     "feed:user:http://inessential.com/", 0),
    ("node-feedparser/guid-dupes.xml", 0, "feed:post:http://www.braingle.com/50366.html",
     "Huh?", "2014-06-19T06:00:00+00:00", None, 0),
    ("node-feedparser/iconv.xml", 0, "feed:post:http://www.oren.ru/news/2743422/",
     "В Бузулуке главные стройплощадки – детсад и Ледовый дворец", "2014-01-22T14:31:31+00:00",
     None, 1),
    ("node-feedparser/tpm.atom", 0,
     "feed:post:tag:talkingpointsmemo.com,2005:ArticleDecorator/270060",
     "Hannity Announces Fox Has Hired Sebastian Gorka As NatSec Strategist",
     "2017-11-08T23:15:58+00:00", "feed:username:Esme Cribb @ http://talkingpointsmemo.com"
     "/account/feed/all/LpNewCzTqYYiHqtKqyTw5DaF1aUucgyyXb2dsqKU2yMr", 0),
    ("rss-parser/encoding.rss", 0, "feed:post:http://feeds.jn.pt/~r/JN-ULTIMAS/~3/UBnb8Ra3Q1U/"
     "sonia-laig-e-a-nova-presidente-da-rarissimas-9021600.html",
     "Mãe de utente é a nova presidente da Raríssimas", "2018-01-03T13:47:00+00:00", None, 0),
    ("rss-parser/reddit.rss", 0, "feed:post:https://www.reddit.com/r/funny/comments/3skxqc/"
     "the_water_is_too_deep_so_he_improvises/", "The water is too deep, so he improvises",
     "2015-11-12T21:16:39+00:00", None, 0),
    ("rss-parser/pagination-links.rss", 0,
     "feed:post:http://example.org/index.atom#a6f22abe-be5c-4a37-8f4b-8be3d69b0235",
     "The First Episode", "2021-01-21T07:58:00+00:00",
     "feed:username:Steve Thompson @ http://example.org/index.atom", 1),
    ("rss-parser/expected/narro.json", 0,
     "feed:post:https://www.narro.co/article/54e703933058540300000069", "FAQ for Narro",
     "2015-02-20T09:51:15+00:00", "feed:username:foobar@gmail.com @ http://on.narro.co/f", 1),
]  # fmt: skip


def test_samples_say_what_a_person_reads_in_them():
    records, _ = checks.read(FEED, checks.sample("feeds"))
    found = checks.by_place(records)
    for path, number, subject, title, time, author, media in SAMPLES:
        record = found[path, number]
        checks.assert_says(record, node=subject, title=title, time=time, author=author)
        contained = [link for link in checks.links_of(record) if link[2] == "contains"]
        assert len(contained) == media, path
    youtube = found["feedjira/youtube_atom.xml", 0]
    checks.assert_says(youtube, view=251497, rating_average=4.79, rating_count=3546)
    assert checks.links_of(youtube) == [
        ("youtube:channel:UCK8sQmJBp8GCxrOtXWBpyEA", "youtube:post:5shykyfmb28", "authored", None),
        ("youtube:channel:UCK8sQmJBp8GCxrOtXWBpyEA", "youtube:post:5shykyfmb28", "member", None),
        ("youtube:post:5shykyfmb28",
         "web:page:http://www.youtube.com/watch?v=5shykyfmb28", "linked", None),
    ]  # fmt: skip
    dates = found["feedjira/InvalidDateFormat.xml", 0]
    checks.assert_says(dates, changed_time="2018-02-12T23:42:14+00:00")
    checks.assert_says(
        found["node-feedparser/tpm.atom", 0],
        url="http://talkingpointsmemo.com/livewire/"
        "hannity-announces-fox-hired-sebastian-gorka-national-security-strategist",
    )
    checks.assert_says(
        found["feedjira/itunes.xml", 0],
        season=1, episode=3, episode_type="full", duration_s=424.0,
        tags=["salt", "pepper", "shaker", "exciting"],
    )  # fmt: skip
    checks.assert_says(
        found["feedjira/itunes.xml", 0], 1, media_size_bytes=8727310, media_type="audio/x-m4a",
        node="feed:media:http://example.com/podcasts/everything/AllAboutEverythingEpisode3.m4a",
    )  # fmt: skip


def test_every_sample_file_is_accounted_for():
    root = checks.sample("feeds")
    records, problems = checks.read(FEED, root)
    # One record of the channel and one of each entry, as grep counts them.
    assert checks.counts(records) == {
        "feedjira/HuffPostCanada.xml": 3, "feedjira/InvalidDateFormat.xml": 3,
        "feedjira/RSSWithComments.xml": 31, "feedjira/TechCrunch.xml": 21,
        "feedjira/itunes.xml": 4, "feedjira/itunes_feedburner.xml": 4,
        "feedjira/json_feed.json": 21, "feedjira/youtube_atom.xml": 16,
        "node-feedparser/guid-dupes.xml": 2, "node-feedparser/iconv.xml": 11,
        "node-feedparser/illegally-nested.xml": 11, "node-feedparser/mediacontent-dupes.xml": 2,
        "node-feedparser/tpm.atom": 21, "rss-parser/encoding.rss": 41,
        "rss-parser/expected/guardian.json": 56, "rss-parser/expected/narro.json": 2,
        "rss-parser/expected/reddit.json": 25, "rss-parser/guardian.rss": 56,
        "rss-parser/item-itunes-episodeType.rss": 2, "rss-parser/itunes-missing-image.rss": 132,
        "rss-parser/missing-fields.atom": 2, "rss-parser/narro.rss": 2,
        "rss-parser/pagination-links.rss": 2, "rss-parser/reddit-atom.rss": 25,
        "rss-parser/reddit.rss": 25,
    }  # fmt: skip
    # Ten empty items inside items, and a page that is no feed.
    assert checks.counts(problems) == {
        "node-feedparser/illegally-nested.xml": 10,
        "node-feedparser/notafeed.html": 1,
    }


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_feeds(seed: int, tmp_path_factory: pytest.TempPathFactory):
    source = tmp_path_factory.mktemp("source")
    checks.write(source, {"a.rss": RSS, "b.xml": RSS.replace("rss", "feed"), "c.json": "{}"})
    checks.survives(FEED, source, tmp_path_factory.mktemp("target"), seed)
