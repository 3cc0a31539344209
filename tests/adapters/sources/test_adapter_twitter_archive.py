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
    outputs,
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
        "joined_time": datetime(2006, 11, 15, 13, 18, 50, tzinfo=UTC),
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
