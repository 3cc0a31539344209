"""The downloadable archive: parts of our own as users have them, then the real samples."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from social_sources import (
    about,
    check_survives,
    counts,
    edges,
    known,
    mutated,
    name_of,
    outputs,
    positions,
    problems,
    records,
    samples,
    subject,
    write,
)

from adapters.records.folder import ScrapeFolder
from adapters.sources.twitter import ADAPTERS

ARCHIVE = ADAPTERS[3]


def part(name: str, value: Any) -> str:
    return f"window.YTD.{name}.part0 = {json.dumps(value, indent=2)}"


ACCOUNT = {
    "account": {
        "username": "Ada_L",
        "accountId": "7",
        "createdAt": "2006-11-15T13:18:50.000Z",
        "accountDisplayName": "Ada",
    }
}


def tweet(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "tweet": {
            "id": str(number),
            "id_str": str(number),
            "full_text": "fish &amp; chips",
            "created_at": "Thu Apr 06 15:24:15 +0000 2017",
            "favorite_count": "3",
            "retweet_count": "2",
            "source": '<a href="https://example.org" rel="nofollow">Pen</a>',
            "lang": "en",
            "entities": {"hashtags": [], "urls": [], "user_mentions": []},
            **fields,
        }
    }


def photo(number: int, name: str, **fields: Any) -> dict[str, Any]:
    url = f"https://pbs.example/media/{name}.jpg"
    return {"id_str": str(number), "type": "photo", "media_url_https": url, **fields}


def test_tweets_belong_to_the_account_and_media_lie_beside_them(tmp_path: Path):
    media = {"media": [photo(21, "one"), photo(22, "two")]}
    tweets = [tweet(1, extended_entities=media), tweet(2, in_reply_to_status_id_str="1")]
    write(
        tmp_path,
        {
            "x/data/account.js": part("account", [ACCOUNT]),
            "x/data/tweets.js": part("tweets", tweets),
            "x/data/tweets_media/1-one.jpg": b"one",
            "x/data/tweets_media/9-two.jpg": b"of another tweet",
        },
    )
    account, first, second = records(ARCHIVE, tmp_path)
    assert account.subject == "twitter:user:7"
    created = about(account, "twitter:user:7").update_time
    assert created == datetime(2006, 11, 15, 13, 18, 50, tzinfo=UTC)
    node = "twitter:post:1"
    assert positions(first) == [
        (0, "file x/data/tweets_media/1-one.jpg"),
        (1, "twitter:media:22"),
    ]
    assert ("twitter:user:7", "authored", node) in edges(first)
    assert known(about(first, node)) == {
        "post_id": "1",
        "conversation_id": "1",
        "language": "en",
        "favorite_count": 3,
        "retweet_count": 2,
        "client": "Pen",
    }
    assert ("twitter:post:1", "reply", "twitter:post:2") in edges(second)
    assert first.complete == tweets[0]


def test_old_archives_versions_and_retweets(tmp_path: Path):
    bare = tweet(1)["tweet"]  # archives of 2019 had no object around it
    edited = tweet(3, edit_info={"initial": {"editTweetIds": ["2", "3"]}})
    media = {"media": [photo(21, "one", source_status_id_str="4")]}
    retweet = tweet(5, full_text="RT @bob: look", extended_entities=media)
    write(
        tmp_path,
        {
            "account.js": part("account", [ACCOUNT]),
            "tweet.js": "\ufeff" + part("tweet", [bare, edited, retweet]) + ";\n",
        },
    )
    _, first, second, third = records(ARCHIVE, tmp_path)
    assert first.subject == "twitter:post:1"
    assert ("twitter:post:2", "revision", "twitter:post:3") in edges(second)
    assert ("twitter:post:4", "repost", "twitter:post:5") in edges(third)
    assert ("twitter:post:4", "contains", "twitter:media:21") in edges(third)


def test_people_and_likes(tmp_path: Path):
    liked = {"like": {"tweetId": "9", "fullText": "good &lt;3", "expandedUrl": "https://x.com"}}
    write(
        tmp_path,
        {
            "data/account.js": part("account", [ACCOUNT]),
            "data/follower.js": part("follower", [{"follower": {"accountId": "8"}}]),
            "data/following.js": part("following", [{"following": {"accountId": "9"}}, {}]),
            "data/like.js": part("like", [liked]),
        },
    )
    found = outputs(ARCHIVE, tmp_path)
    assert [name_of(item.subject) for item in found if hasattr(item, "subject")] == [
        "twitter:user:7",
        "twitter:user:8",
        "twitter:user:9",
        "twitter:post:9",
    ]
    assert edges(found[1]) == {("twitter:user:8", "follows", "twitter:user:7")}
    assert edges(found[2]) == {("twitter:user:7", "follows", "twitter:user:9")}
    assert about(found[4], "twitter:post:9").title == "good <3"
    [problem] = problems(ARCHIVE, tmp_path)
    assert (problem.path, problem.number) == ("data/following.js", 1)


def test_other_parts_are_kept_as_files_of_the_account(tmp_path: Path):
    files = {
        "data/account.js": part("account", [ACCOUNT]),
        "data/ad-impressions.js": part("ad_impressions", [{"ad": {}}]),
        "data/manifest.js": 'window.__THAR_CONFIG = {"userInfo": {}}',
        "assets/js/main.js": "function draw() { return 1 }",
        "data/broken.js": "window.YTD.tweets.part0 = [ {",
        "data/odd.js": "var tweets = []",
    }
    write(tmp_path, files)
    found = outputs(ARCHIVE, tmp_path)
    kept = [item for item in found if getattr(item, "subject", None) == "twitter:user:7"]
    assert [(r.path, r.number, r.complete is None) for r in kept] == [
        ("data/account.js", 0, False),
        ("data/ad-impressions.js", -1, True),
        ("data/manifest.js", -1, True),
    ]
    assert [(p.path, p.reason[:20]) for p in problems(ARCHIVE, tmp_path)] == [
        ("data/broken.js", "no valid JSON: Expec"),
        ("data/odd.js", "expected a script th"),
    ]


def test_without_an_account_tweets_are_still_read(tmp_path: Path):
    write(tmp_path, {"tweets.js": part("tweets", [tweet(1)]), "app.js": part("app", [{}])})
    app, record = outputs(ARCHIVE, tmp_path)
    assert "account.js" in app.reason
    assert edges(record) == {("twitter:conversation:1", "conversation", "twitter:post:1")}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data(), name=st.sampled_from(["tweets", "account", "follower", "like", "other"]))
def test_mutated_parts_never_raise(tmp_path: Path, value: st.DataObject, name: str):
    wrapper = f"window.YTD.{name}.part0 = "
    write(tmp_path, {"a/account.js": part("account", [ACCOUNT])})
    media = {"media": [photo(21, "one", source_status_id_str="4")]}
    original = [tweet(1, extended_entities=media), ACCOUNT, {"like": {"tweetId": "9"}}]
    check_survives(ARCHIVE, tmp_path, "b.js", value.draw(mutated(original)), wrapper)


# ---- Real samples: every record there is -------------------------------------------------------


def test_samples_are_read_completely():
    data = "twitter-archive/data/"
    assert counts(outputs(ARCHIVE, samples("twitter-archive"))) == {
        data + "account-suspension.js": (1, 0),  # an empty part, kept as a file of the account
        data + "account.js": (1, 0),
        data + "app.js": (1, 0),
        data + "follower.js": (2, 0),
        data + "following.js": (2, 0),
        data + "saved-search.js": (1, 0),
    }


def test_samples_say():
    found = records(ARCHIVE, samples("twitter-archive"))
    account = found[1]
    assert known(about(account, "twitter:user:12497")) == {
        "user_id": "12497",
        "user_name": "simonw",
        "display_name": "Simon Willison",
    }
    assert edges(*found) == {
        ("twitter:user:12497", "alias", "twitter:username:simonw"),
        ("twitter:user:73747798", "follows", "twitter:user:12497"),
        ("twitter:user:386025404", "follows", "twitter:user:12497"),
        ("twitter:user:12497", "follows", "twitter:user:547842573"),
        ("twitter:user:12497", "follows", "twitter:user:12158"),
    }
    kept = [r.path.rpartition("/")[2] for r in found if r.number == -1]
    assert kept == ["account-suspension.js", "app.js", "saved-search.js"]
    assert all(r.subject == "twitter:user:12497" for r in found if r.number == -1)
    assert subject(found, "twitter:user:73747798").observations == ()


def test_sniffs_its_own_samples():
    assert ARCHIVE.sniff(ScrapeFolder.of(samples("twitter-archive"))).confidence >= 0.8
    assert ARCHIVE.sniff(ScrapeFolder.of(samples("twitter-api-v1"))).confidence == 0
