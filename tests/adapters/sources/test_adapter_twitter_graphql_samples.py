"""Real samples of the web's GraphQL API, checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from social_sources import (
    about,
    counts,
    edges,
    known,
    outputs,
    records,
    samples,
    subject,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.twitter import ADAPTERS

V1, V2, GRAPHQL = ADAPTERS[0], ADAPTERS[1], ADAPTERS[2]


def test_samples_are_read_completely():
    assert counts(outputs(GRAPHQL, samples("twitter-graphql"))) == {
        "_issue_42.json": (2, 0),
        "card_audiospace.json": (2, 0),
        "card_summary.json": (5, 0),
        "manual_tweet_with_video_1.json": (11, 0),
        "raw_tweet_details.json": (37, 0),
        "raw_user_by_login.json": (1, 0),
        "raw_user_media.json": (37, 0),
    }


def sample(path: str, tweet_id: str) -> Record:
    found = [r for r in records(GRAPHQL, samples("twitter-graphql")) if r.path == path]
    return subject(found, f"twitter:post:{tweet_id}")


def by_developers(node: str) -> set[tuple[str, str, str]]:
    return {
        ("twitter:user:2244994945", "authored", node),
        ("twitter:user:2244994945", "alias", "twitter:username:xdevelopers"),
    }


def test_sample_of_a_retweeted_video():
    outer = sample("_issue_42.json", "1665951747842641921")
    inner = sample("_issue_42.json", "1665863576060575744")
    node, original = "twitter:post:1665951747842641921", "twitter:post:1665863576060575744"
    assert edges(outer) == {
        ("twitter:user:1539774913967714304", "authored", node),
        ("twitter:user:1539774913967714304", "alias", "twitter:username:_avicintl"),
        (original, "repost", node),
        ("twitter:conversation:1665951747842641921", "conversation", node),
        (node, "mentioned", "twitter:user:87775422"),
        ("twitter:user:87775422", "alias", "twitter:username:chinadaily"),
    }
    assert about(outer, node).view is None
    assert edges(inner) == {
        ("twitter:user:87775422", "authored", original),
        ("twitter:user:87775422", "alias", "twitter:username:chinadaily"),
        (original, "contains", "twitter:media:1665861064259686400"),
        ("twitter:conversation:1665863576060575744", "conversation", original),
    }
    video = about(inner, "twitter:media:1665861064259686400")
    assert (about(inner, original).view, video.view) == (5188, 961)
    assert (video.meta["width"], video.meta["height"]) == (296, 640)
    assert video.meta["duration_ms"] == 16000


def test_samples_of_a_thread():
    path = "raw_tweet_details.json"
    first, second = sample(path, "1649191520250245121"), sample(path, "1649191522485817345")
    node = "twitter:post:1649191520250245121"
    conversation = "twitter:conversation:1649191520250245121"
    assert edges(first) == by_developers(node) | {(conversation, "conversation", node)}
    assert about(first, node).view == 979440
    assert about(first, node).update_time == datetime(2023, 4, 20, 23, 21, 13, tzinfo=UTC)
    assert known(about(first, node))["bookmark_count"] == 73
    node = "twitter:post:1649191522485817345"
    assert edges(second) == by_developers(node) | {
        ("twitter:post:1649191521323995138", "reply", node),
        (conversation, "conversation", node),
        (node, "linked", "web:page:https://shorturl.at/uwAKZ"),
    }
    answer = sample(path, "1649263296434806785")
    node = "twitter:post:1649263296434806785"
    assert edges(answer) == {
        ("twitter:user:108209516", "authored", node),
        ("twitter:user:108209516", "alias", "twitter:username:ashevat"),
        (node, "contains", "twitter:media:1649263289954705410"),
        ("twitter:post:1649191520250245121", "reply", node),
        (conversation, "conversation", node),
    }
    assert known(about(answer, "twitter:media:1649263289954705410")) == {
        "post_id": "1649263296434806785",
        "media_id": "1649263289954705410",
        "media_type": "animated_gif",
        "media_url": "https://video.twimg.com/tweet_video/FuNcOVrXoAIGi0f.mp4",
        "alt_text": "James Franco Omg GIF",
        "width": 300,
        "height": 304,
    }


def test_samples_of_media():
    path = "raw_user_media.json"
    video = sample(path, "2074882755905585583")
    node = "twitter:post:2074882755905585583"
    assert edges(video) == by_developers(node) | {
        (node, "contains", "twitter:media:2074882547796832256"),
        ("twitter:conversation:2074882755905585583", "conversation", node),
        (node, "linked", "web:page:https://docs.x.com/x-api/activity/introduction"),
    }
    best = about(video, "twitter:media:2074882547796832256").meta["media_url"]
    assert best.endswith("/vid/avc1/1080x1080/tTKa11kiPdc1LfJs.mp4?tag=28")  # of 8,768,000 bit/s
    reply = sample(path, "2037623826285027567")
    node = "twitter:post:2037623826285027567"
    assert edges(reply) == by_developers(node) | {
        (node, "contains", "twitter:media:2037619746330566656"),
        ("twitter:post:2037623824879849699", "reply", node),
        ("twitter:conversation:2037623824879849699", "conversation", node),
        (node, "linked", "web:page:http://console.x.com"),
    }
    photo = sample(path, "2072126677535346779")
    medium = about(photo, "twitter:media:2072126643456602112")
    assert (medium.meta["width"], medium.meta["height"]) == (1276, 444)
    assert about(photo, "twitter:post:2072126677535346779").view == 175653
    reused = sample("manual_tweet_with_video_1.json", "1671508600538161153")
    shown = about(reused, "twitter:media:1668857866328100864")
    assert shown.view == 3847526 and str(shown.meta["media_url"]).endswith(
        "/vid/720x1280/ENfeGwtfyiYvpNy8.mp4?tag=12"
    )


def test_sample_of_a_profile():
    [record] = [
        r
        for r in records(GRAPHQL, samples("twitter-graphql"))
        if r.path == "raw_user_by_login.json"
    ]
    assert record.subject == "twitter:user:2244994945"
    assert known(about(record, "twitter:user:2244994945")) == {
        "user_id": "2244994945",
        "user_name": "XDevelopers",
        "display_name": "Developers",
        "follower_count": 695695,
        "following_count": 762,
        "post_count": 4319,
        "bio": "The voice of the X Dev team and your official source for updates, "
        "news, and events, related to the X API.",
        "home": "127.0.0.1",
        "is_verified": True,
        "joined_time": datetime(2013, 12, 14, 4, 35, 55, tzinfo=UTC),
    }


def test_sniffs_its_own_samples():
    assert GRAPHQL.sniff(ScrapeFolder.of(samples("twitter-graphql"))).confidence >= 0.8
    for other in ("twitter-api-v1", "twitter-api-v2", "reddit-listing", "json-collections"):
        assert GRAPHQL.sniff(ScrapeFolder.of(samples(other))).confidence == 0
