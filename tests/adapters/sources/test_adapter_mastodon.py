"""The Mastodon API: made-up entities with every quirk, then samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from social_records import (
    check_mutated,
    counts,
    links,
    mutated,
    observed,
    read,
    read_one,
    read_set,
    said,
    samples,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.fediverse.mastodon import ADAPTERS

MASTODON = ADAPTERS[0]
ANN = "activitypub:user:https://one.example/users/ann"
FIRST = "activitypub:post:https://one.example/users/ann/statuses/100"


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


def test_a_status(tmp_path: Path) -> None:
    item = read_one(MASTODON, tmp_path, status(spoiler_text="food", edited_at=None))
    assert (item.number, item.complete, item.subject) == (-1, None, FIRST)
    row = said(item, FIRST)
    assert row.title == "Look at thisone\ntwice\nover"
    assert row.update_time == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert row.meta == {
        "uri": "https://one.example/users/ann/statuses/100",
        "url": "https://one.example/@ann/100",
        "server": "one.example",
        "local_id": "100",
        "object_type": "Note",
        "spoiler_text": "food",
        "is_sensitive": False,
        "favourite_count": 5,
        "reblog_count": 2,
        "reply_count": 0,
    }
    assert links(item) == {
        f"{ANN} -authored-> {FIRST}",
        f"{ANN} -alias-> activitypub:user:https://one.example/@ann",
        f"{FIRST} -alias-> activitypub:post:https://one.example/@ann/100",
    }
    assert said(item, ANN).meta["user_name"] == "ann@one.example"


def test_an_account_without_uri_is_known_by_its_status(tmp_path: Path) -> None:
    old = account()
    del old["uri"]
    item = read_one(MASTODON, tmp_path, status(account=old))
    assert said(item, FIRST).author == ANN


def test_an_account_with_a_name_only(tmp_path: Path) -> None:
    item = read_one(MASTODON, tmp_path, account(url=None, uri=None, acct="Ann"))
    assert item.subject == "activitypub:username:ann"


def test_a_boost_and_its_original(tmp_path: Path) -> None:
    picture = {"id": "7", "type": "image", "url": "https://m.example/original/abcdef12.png"}
    original = status(media_attachments=[picture], tags=[{"name": "Cats", "url": ""}])
    boost = status(
        "101",
        uri="https://one.example/users/bob/statuses/101/activity",
        url=None,
        account=account("bob"),
        reblog=original,
        media_attachments=[picture],
    )
    items = read(MASTODON, tmp_path, {"timeline.json": [boost]})
    assert [item.number for item in items] == [0, 1]
    again = "activitypub:post:https://one.example/users/bob/statuses/101/activity"
    assert links(items[0]) == {
        f"activitypub:user:https://one.example/users/bob -authored-> {again}",
        "activitypub:user:https://one.example/users/bob -alias-> activitypub:user:https://one.example/@bob",
        f"{FIRST} -repost-> {again}",
    }
    assert said(items[0], again).meta["object_type"] == "Announce"
    assert links(items[1]) >= {
        f"{FIRST} -contains 0-> activitypub:media:https://m.example/original/abcdef12.png",
        f"activitypub:tag:cats -tagged-> {FIRST}",
    }


def test_answers_within_a_file(tmp_path: Path) -> None:
    remote = status(
        "55",
        uri="https://two.example/notes/xyz",
        url="https://two.example/notes/xyz",
        account=account("cy", "two.example"),
    )
    answer = status("102", in_reply_to_id="55", in_reply_to_account_id="id-cy")
    items = read(
        MASTODON, tmp_path, {"context.json": {"ancestors": [remote], "descendants": [answer]}}
    )
    edge = "activitypub:post:https://two.example/notes/xyz -reply-> "
    assert f"{edge}activitypub:post:https://one.example/users/ann/statuses/102" in links(items[1])


def test_answers_elsewhere(tmp_path: Path) -> None:
    to_self = status("103", in_reply_to_id="100", in_reply_to_account_id="id-ann")
    to_other = status("104", in_reply_to_id="99", in_reply_to_account_id="id-x")
    unknown = status(
        "105",
        in_reply_to_id="98",
        in_reply_to_account_id="id-x",
        account=account("cy", "two.example"),
    )
    answered = status("99", replies_count=1)
    files = {"a.json": to_self, "b.json": to_other, "c.json": unknown, "d.json": answered}
    items = {item.path: item for item in read(MASTODON, tmp_path, files)}
    base = "activitypub:post:https://one.example/users/ann/statuses/"
    assert f"{base}100 -reply-> {base}103" in links(items["a.json"])
    assert f"activitypub:post:one.example/99 -reply-> {base}104" in links(items["b.json"])
    assert not any("-reply->" in link for link in links(items["c.json"]))
    # Who is answered carries the name by which the answer knows it.
    assert f"{base}99 -alias-> activitypub:post:one.example/99" in links(items["d.json"])


def test_media_with_and_without_address(tmp_path: Path) -> None:
    media = [
        {
            "id": "1",
            "type": "image",
            "url": "https://m.example/o/abcdef01.jpg",
            "remote_url": "https://two.example/files/remote01.jpg",
            "description": "A hill",
            "preview_url": "https://m.example/s/preview01.jpg",
            "blurhash": "U",
            "meta": {"original": {"width": 640, "height": 480}},
        },
        {"id": "2", "type": "video", "url": None, "preview_url": None, "meta": None},
        {"id": "3", "type": "image", "url": "https://m.example/o/abcdef03.jpg"},
    ]
    files = {
        "s.json": status(media_attachments=media),
        "m/abcdef01.jpg": b"1",
        "m/preview01.jpg": b"2",
    }
    (item,) = read(MASTODON, tmp_path, files)
    assert {link for link in links(item) if "contains" in link or "thumbnail" in link} == {
        f"{FIRST} -contains 0-> file:m/abcdef01.jpg",
        f"{FIRST} -contains 1-> activitypub:media:https://one.example/users/ann/statuses/100#2",
        f"{FIRST} -contains 2-> activitypub:media:https://m.example/o/abcdef03.jpg",
        "file:m/abcdef01.jpg -thumbnail-> file:m/preview01.jpg",
    }
    hill = said(item, MediaFile("m/abcdef01.jpg"))
    assert (hill.title, hill.is_root, hill.author) == ("A hill", True, ANN)
    assert hill.meta["media_url"] == "https://two.example/files/remote01.jpg"
    assert (hill.meta["width"], hill.meta["height"]) == (640, 480)


def test_polls_cards_quotes_mentions(tmp_path: Path) -> None:
    quoted = status("90")
    told = status(
        poll={"options": [{"title": "Yes"}, {"title": "No"}], "votes_count": 4},
        card={
            "url": "https://news.example/1",
            "title": "News",
            "provider_name": "",
            "embed_url": "",
        },
        mentions=[{"id": "5", "acct": "bob", "username": "bob", "url": "https://one.example/@bob"}],
        quote={"state": "accepted", "quoted_status": quoted},
        pleroma={"context": "https://one.example/contexts/1"},
    )
    items = read(MASTODON, tmp_path, {"s.json": told})
    assert said(items[0], FIRST).meta["poll_options"] == ["Yes", "No"]
    assert said(items[0], FIRST).meta["poll_vote_count"] == 4
    assert said(items[0], "web:page:https://news.example/1").title == "News"
    assert links(items[0]) >= {
        f"{FIRST} -linked-> web:page:https://news.example/1",
        f"{FIRST} -mentioned-> activitypub:user:https://one.example/@bob",
        f"activitypub:post:https://one.example/users/ann/statuses/90 -quote-> {FIRST}",
        f"activitypub:conversation:https://one.example/contexts/1 -conversation-> {FIRST}",
    }
    assert isinstance(items[1], Record)
    assert items[1].subject.endswith("/90") if isinstance(items[1].subject, str) else False


def test_what_cannot_be_known_again(tmp_path: Path) -> None:
    files = {
        "a.json": status(uri=None, url=None),
        "b.json": {"id": "1", "type": "image", "url": None, "blurhash": None, "remote_url": None},
        "c.json": {"id": "3", "phrase": "x", "context": ["home"]},
        "d.json": [status(), {"odd": 1}],
    }
    items = read(MASTODON, tmp_path, files)
    assert [(item.path, type(item).__name__) for item in items] == [
        ("a.json", "Problem"),
        ("b.json", "Problem"),
        ("c.json", "Problem"),
        ("d.json", "Record"),
        ("d.json", "Problem"),
    ]
    assert isinstance(items[1], Problem)
    assert "processing" in items[1].reason


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
