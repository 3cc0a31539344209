"""The Mastodon API: made-up entities with every quirk, then samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    counts,
    links,
    mutated,
    observed,
    read_set,
    said,
    samples,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.fediverse.mastodon import ADAPTERS

MASTODON = ADAPTERS[0]


def account(name: str = "ann", host: str = "one.example", **fields: Any) -> dict[str, Any]:
    local = host == "one.example"
    data = {
        "id": f"id-{name}",
        "username": name,
        "acct": name if local else f"{name}@{host}",
        "display_name": name.title(),
        "url": f"https://{host}/@{name}",
        "uri": f"https://{host}/users/{name}",
        "followers_count": 3,
        "statuses_count": 9,
        "note": "",
        "bot": False,
    }
    return data | fields


def status(identity: str = "100", **fields: Any) -> dict[str, Any]:
    data = {
        "id": identity,
        "created_at": "2024-01-02T03:04:05.000Z",
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": False,
        "spoiler_text": "",
        "uri": f"https://one.example/users/ann/statuses/{identity}",
        "url": f"https://one.example/@ann/{identity}",
        "replies_count": 0,
        "reblogs_count": 2,
        "favourites_count": 5,
        "content": "<p>Look at <a href='x'><span>this</span>one</a></p><p>twice<br>over</p>",
        "reblog": None,
        "account": account(),
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "card": None,
        "poll": None,
    }
    return data | fields


TEMPLATE = [
    status(in_reply_to_id="9", reblog=status("9"), quote={"quoted_status": status("8")}),
    status(
        "7",
        media_attachments=[
            {
                "id": "1",
                "type": "image",
                "url": "https://m.example/abcdef.png",
                "meta": {"original": {"width": 1}},
                "description": "d",
            }
        ],
        card={"url": "https://news.example/1", "title": "News"},
        tags=[{"name": "a"}],
    ),
    {"id": "1", "scheduled_at": "2024-01-01", "params": {"text": "t"}, "media_attachments": [{}]},
    account(),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(TEMPLATE))
def test_mutated_entities_never_raise(value: Any) -> None:
    check_mutated(MASTODON, value)


# ---- Samples --------------------------------------------------------------------------------


def test_counts_of_the_samples() -> None:
    found = counts(read_set(MASTODON, "mastodon-api"))
    assert len(found) == 20
    assert set(found.values()) == {(1, 0)}
    assert MASTODON.sniff(ScrapeFolder.of(samples("mastodon-api"))).confidence >= 0.9


def test_sample_statuses() -> None:
    items = read_set(MASTODON, "mastodon-api")
    gargron = "activitypub:user:https://mastodon.social/users/Gargron"
    lost = items[("docs-entity-Status.0.json", -1)]
    post = "activitypub:post:https://mastodon.social/users/Gargron/statuses/103270115826048975"
    page = "web:page:https://www.theguardian.com/money/2019/dec/07/i-lost-my-193000-inheritance-with-one-wrong-digit-on-my-sort-code"
    assert links(lost) == {
        f"{gargron} -authored-> {post}",
        f"{gargron} -alias-> activitypub:user:https://mastodon.social/@Gargron",
        f"{post} -alias-> activitypub:post:https://mastodon.social/@Gargron/103270115826048975",
        f"{post} -alias-> activitypub:post:mastodon.social/103270115826048975",
        f"{post} -linked-> {page}",
    }
    meta = said(lost, post).meta
    assert (meta["favourite_count"], meta["reblog_count"], meta["reply_count"]) == (11, 6, 5)
    assert meta["quote_count"] == 2
    assert said(lost, gargron).meta["follower_count"] == 322930

    hello = items[("docs-method-statuses.0.json", -1)]
    assert (
        said(hello, "activitypub:post:https://mastodon.social/users/Gargron/statuses/1").title
        == "Hello world"
    )

    edited = items[("tootsdk/post_edited.json", -1)]
    post = "activitypub:post:https://example.com/users/technicat/statuses/112300188527054704"
    person = "activitypub:user:https://example.com/users/person"
    row = said(edited, post)
    assert row.update_time == datetime(2024, 4, 19, 22, 15, 22, tzinfo=UTC)
    assert row.title == "listening to #UB40\nhttps://example.com/albums/8513"
    assert (row.author, row.meta["client"], row.meta["hashtags"]) == (person, "Elk", ["ub40"])
    assert f"activitypub:tag:ub40 -tagged-> {post}" in links(edited)


def test_sample_accounts_instances_cards() -> None:
    items = read_set(MASTODON, "mastodon-api")
    shark = items[("docs-entity-Account.0.json", -1)]
    row = said(shark, "activitypub:user:https://awoo.space/@noiob")
    assert (row.title, row.meta["user_name"]) == ("ikea shark fan account", "noiob@awoo.space")
    assert (row.meta["follower_count"], row.meta["post_count"]) == (547, 28468)
    assert observed(items[("tootsdk/instancev2_mastodon.json", -1)]) == [
        "web:page:https://mastodon.social/",
        "activitypub:user:https://mastodon.social/users/Mastodon",
    ]
    assert links(items[("tootsdk/pixelfed.json", -1)]) == {
        "web:page:https://pixelfed.social/ -member-> activitypub:user:https://pixelfed.social/admin"
    }
    song = said(
        items[("docs-entity-PreviewCard.0.json", -1)],
        "web:page:https://www.youtube.com/watch?v=OMv_EPMED8Y",
    )
    assert (song.title, song.meta["width"]) == ("♪ Brand New Friend (Christmas Song!)", 480)


def test_sample_media_and_scheduled() -> None:
    items = read_set(MASTODON, "mastodon-api")
    files = "activitypub:media:https://files.mastodon.social/media_attachments/files"
    picture = said(
        items[("docs-entity-MediaAttachment.0.json", -1)],
        f"{files}/022/345/792/original/57859aede991da25.jpeg",
    )
    assert (picture.title, picture.is_root, picture.meta["width"]) == (
        "test media description",
        True,
        640,
    )
    clip = said(
        items[("docs-entity-MediaAttachment.2.json", -1)],
        f"{files}/021/130/559/original/bc84838f77991326.mp4",
    )
    assert (clip.meta["media_type"], clip.meta["duration_s"]) == ("gifv", 1.11)
    sound = said(
        items[("docs-entity-MediaAttachment.3.json", -1)],
        f"{files}/021/165/404/original/a31a4a46cd713cd2.mp3",
    )
    assert (sound.title, sound.meta["duration_s"]) == (None, 402.860408)
    later = items[("tootsdk/scheduled_post_multiple_attachments.json", -1)]
    assert isinstance(later, Record)
    assert links(later) == {
        f"{later.subject} -contains 0-> {files}/111/892/073/708/535/727/original/9127e8fcf18dec4f.jpeg",  # noqa: E501
        f"{later.subject} -contains 1-> {files}/111/892/073/823/106/369/original/3e200069e30773df.jpeg",  # noqa: E501
    }
    assert said(later, later.subject).title == "Testing scheduled attachments"
    assert said(later, later.subject).update_time == datetime(2024, 8, 30, 23, 20, tzinfo=UTC)
