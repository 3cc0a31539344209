"""Real samples of Twitter API v1.1 and Gnip, checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from social_sources import (
    about,
    counts,
    edges,
    known,
    outputs,
    positions,
    records,
    samples,
    subject,
)

from adapters.records.folder import ScrapeFolder
from adapters.sources.twitter import ADAPTERS

V1 = ADAPTERS[0]


def test_samples_are_read_completely():
    assert counts(outputs(V1, samples("twitter-api-v1"))) == {
        "python-twitter/3.2/extended_tweet_in_compat_mode.json": (1, 0),
        "python-twitter/3.2/extended_tweet_in_extended_mode.json": (1, 0),
        "python-twitter/get_home_timeline.json": (35, 0),  # 20, 14 retweeted, 1 quoted
        "python-twitter/get_search_geocode.json": (16, 0),  # 15 and 1 retweeted
        "python-twitter/get_status_ext_alt.json": (1, 0),
        "python-twitter/get_status_oembed.json": (1, 0),
        "python-twitter/get_status_with_place.json": (2, 0),
        "python-twitter/models/models_media.json": (1, 0),
        "python-twitter/models/status_quoted_tweet_with_media.json": (2, 0),
        "simdjson/twitter.json": (115, 0),  # 100 and 15 different retweeted ones
        "tweet_parser/original_format_examples.json": (36, 0),  # 25, 8 quoted, 3 retweeted
        "twitter-ruby/retweet.json": (2, 0),
        "twitter-ruby/search.json": (4, 0),
        "twitter-ruby/status.json": (1, 0),
        "twitter-ruby/statuses.json": (26, 0),
    }


def sample(path: str, tweet_id: str) -> Any:
    found = [r for r in records(V1, samples("twitter-api-v1")) if r.path == path]
    return subject(found, f"twitter:post:{tweet_id}")


def test_sample_photo_with_alt_text():
    record = sample("python-twitter/get_status_ext_alt.json", "724441953534877696")
    node, medium = "twitter:post:724441953534877696", "twitter:media:724441951391604736"
    page = (
        "web:page:https://medium.com/hbo-cinemax-pr/"
        "game-of-thrones-season-6-episodes-53586437cbb3#---0-17.cvym8cqn4"
    )
    assert edges(record) == {
        ("twitter:user:571202103", "authored", node),
        ("twitter:user:571202103", "alias", "twitter:username:medium"),
        (node, "contains", medium),
        (f"twitter:conversation:{node[13:]}", "conversation", node),
        (node, "mentioned", "twitter:user:2153490764"),
        ("twitter:user:2153490764", "alias", "twitter:username:hbopr"),
        (node, "linked", page),
    }
    assert known(about(record, medium)) == {
        "post_id": "724441953534877696",
        "media_id": "724441951391604736",
        "media_type": "photo",
        "media_url": "https://pbs.twimg.com/media/Cg28HdUWYAAvmwn.jpg",
        "alt_text": "“Jon Snow is dead.…” from “GAME OF THRONES SEASON 6 EPISODES” by HBO PR.",
        "width": 750,
        "height": 748,
    }
    said = about(record, node)
    assert said.update_time == datetime(2016, 4, 25, 3, 36, 35, tzinfo=UTC)
    assert (said.meta["favorite_count"], said.meta["retweet_count"]) == (43, 28)
    assert (said.meta["client"], said.meta["is_sensitive"]) == ("Medium", False)
    assert known(about(record, "twitter:user:571202103"))["follower_count"] == 1727713


def test_sample_quote_of_a_reply():
    path = "python-twitter/models/status_quoted_tweet_with_media.json"
    outer, inner = sample(path, "850413178534211584"), sample(path, "850408344175222784")
    node, quoted = "twitter:post:850413178534211584", "twitter:post:850408344175222784"
    assert edges(outer) == {
        ("twitter:user:20944497", "authored", node),
        ("twitter:user:20944497", "alias", "twitter:username:andresegura"),
        (quoted, "quote", node),
        ("twitter:conversation:850413178534211584", "conversation", node),
    }
    assert edges(inner) == {
        ("twitter:user:39384517", "authored", quoted),
        ("twitter:user:39384517", "alias", "twitter:username:icegov"),
        ("twitter:post:850397557939372032", "reply", quoted),
        (quoted, "contains", "twitter:media:850399217826897920"),
    }
    title = about(inner, quoted).title or ""
    assert title.startswith("ICE agents & officers may initially ID themselves as “police”")
    assert about(outer, node).meta["favorite_count"] == 4378


def test_sample_video_in_a_quoted_tweet_without_entities():
    path = "python-twitter/get_status_with_place.json"
    outer, inner = sample(path, "1051204790334746624"), sample(path, "1050848124036685824")
    assert (
        "twitter:post:1050848124036685824", "quote", "twitter:post:1051204790334746624",
    ) in edges(outer)  # fmt: skip
    [(position, medium)] = positions(inner)
    assert (position, medium) == (0, "twitter:media:1049144139172855808")
    assert known(about(inner, medium)) == {
        "post_id": "1050848124036685824",
        "media_id": "1049144139172855808",
        "media_type": "video",
        "media_url": "https://video.twimg.com/ext_tw_video/1049144139172855808/pu/vid/720x720/"
        "_Xb-Q1NmNlv-hY-x.mp4?tag=5",
        "width": 720,
        "height": 720,
        "duration_ms": 26153,
    }


def test_samples_of_json_lines():
    path = "tweet_parser/original_format_examples.json"
    reply = sample(path, "867837275152842752")
    node = "twitter:post:867837275152842752"
    assert edges(reply) == {
        ("twitter:user:815279070241955840", "authored", node),
        ("twitter:user:815279070241955840", "alias", "twitter:username:robotprincessfi"),
        ("twitter:post:861645830863822848", "reply", node),
        ("twitter:post:867479301360205824", "quote", node),
        (node, "mentioned", "twitter:user:2382763597"),
        ("twitter:user:2382763597", "alias", "twitter:username:notfromshrek"),
    }
    assert positions(sample(path, "867833721579122688")) == [
        (0, "twitter:media:867833378313293826"),
        (1, "twitter:media:867833707989807104"),
    ]
    extended = sample(path, "867473446648676352")
    assert (about(extended, "twitter:post:867473446648676352").title or "").endswith(
        "🐈 https://t.co/eAQvI8SV57"
    )
    assert known(about(extended, "twitter:media:867473434166558720")) == {
        "post_id": "867473446648676352",
        "media_id": "867473434166558720",
        "media_type": "animated_gif",
        "media_url": "https://video.twimg.com/tweet_video/DAnifgeWAAAHTea.mp4",
        "width": 498,
        "height": 252,
    }
    retweet = sample(path, "867478524235366400")
    assert (
        "twitter:post:861651727614746624", "repost", "twitter:post:867478524235366400",
    ) in edges(retweet)  # fmt: skip


def test_samples_of_embeds_and_lone_media():
    embed = sample("python-twitter/get_status_oembed.json", "397")
    assert edges(embed) == {("twitter:username:jack", "authored", "twitter:post:397")}
    assert (about(embed, "twitter:post:397").title or "").startswith("getting waxed!")
    [medium] = [
        r
        for r in records(V1, samples("twitter-api-v1"))
        if r.path == "python-twitter/models/models_media.json"
    ]
    assert edges(medium) == {
        ("twitter:post:698657677329752065", "contains", "twitter:media:698657676939685888")
    }


def test_samples_of_searches():
    found = [
        r for r in records(V1, samples("twitter-api-v1")) if r.path == "twitter-ruby/search.json"
    ]
    assert [r.subject for r in found] == [
        "twitter:post:414075829182676992",
        "twitter:post:414073595372265472",
        "twitter:post:414071361066532864",  # inside the retweet ...
        "twitter:post:414071361066532864",  # ... and a result itself
    ]
    node = "twitter:post:414075829182676992"
    assert edges(found[0]) == {
        ("twitter:user:546527520", "authored", node),
        ("twitter:user:546527520", "alias", "twitter:username:itsfuckinohso"),
        ("twitter:post:414069174856843264", "reply", node),
        ("twitter:tag:freebandnames", "tagged", node),
        (node, "mentioned", "twitter:user:29296581"),
        ("twitter:user:29296581", "alias", "twitter:username:just_reboot"),
    }
    retweet = sample("simdjson/twitter.json", "505874922023837696")
    node = "twitter:post:505874922023837696"
    assert edges(retweet) == {
        ("twitter:user:903487807", "authored", node),
        ("twitter:user:903487807", "alias", "twitter:username:yuttari1998"),
        ("twitter:post:505864943636197376", "repost", node),
        ("twitter:conversation:505874922023837696", "conversation", node),
        (node, "mentioned", "twitter:user:77915997"),
        ("twitter:user:77915997", "alias", "twitter:username:katana77"),
    }


def test_sniffs_its_own_samples():
    assert V1.sniff(ScrapeFolder.of(samples("twitter-api-v1"))).confidence >= 0.8
    for other in ("twitter-api-v2", "twitter-graphql", "twitter-archive"):
        assert V1.sniff(ScrapeFolder.of(samples(other))).confidence == 0
