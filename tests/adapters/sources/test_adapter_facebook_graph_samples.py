"""Real samples of the Facebook Graph API, checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime

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
from adapters.records.items import Record
from adapters.sources.facebook.graph import ADAPTERS

GRAPH = ADAPTERS[0]


def test_samples_are_read_completely():
    assert counts(outputs(GRAPH, samples("facebook-graph"))) == {
        "apidata/albums/albums_list_p1.json": (3, 0),
        "apidata/comments/comments_p1.json": (10, 0),
        "apidata/events/event_info.json": (1, 0),
        "apidata/photos/photos_info_fields.json": (2, 0),
        "apidata/photos/photos_p1.json": (2, 0),
        "apidata/posts/feeds_default_fields_p1.json": (5, 0),
        "apidata/posts/single_post_data.json": (1, 0),
        "apidata/videos/videos_p1.json": (3, 0),
        "models/photo.json": (1, 0),
        "models/post.json": (1, 0),
    }


def sample(node: str, path: str = "") -> Record:
    found = [r for r in records(GRAPH, samples("facebook-graph")) if r.path.endswith(path)]
    return subject(found, node)


def by_page(node: str) -> set[tuple[str, str, str]]:
    return {
        ("facebook:user:19292868552", "authored", node),
        ("facebook:user:19292868552", "member", node),
    }


def test_samples_of_a_feed():
    node = "facebook:post:19292868552_10158349356748553"
    record = sample(node)
    assert edges(record) == by_page(node) | {
        (node, "mentioned", "facebook:user:957138134486129"),
        (node, "mentioned", "facebook:user:602814669838217"),
        (node, "contains", "facebook:media:10158349355013553"),
    }
    assert known(about(record, node)) == {
        "object_id": "19292868552_10158349356748553",
        "object_type": "post",
        "status_type": "added_photos",
        "permalink_url": "https://www.facebook.com/19292868552/posts/10158349356748553/",
        "reaction_count": 125,
        "like_count": 119,
        "love_count": 6,
        "wow_count": 0,
        "haha_count": 0,
        "sad_count": 0,
        "angry_count": 0,
        "comment_count": 13,
        "share_count": 10,
    }
    node = "facebook:post:19292868552_10158347294088553"
    page = (
        "web:page:https://engineering.fb.com/2021/05/20/networking-traffic/peering-automation/"
        "?utm_source=social-facebook&utm_medium=fb4d&utm_campaign=organic&utm_content=post-url"
        "&utm_offering=engineering&utm_product=Peering-automation-at-Facebook_07082021"
        "&eventSource=OrganicSocialFB4D&content_id=Py4ExKngmEFlnJN"
    )
    assert edges(sample(node)) == by_page(node) | {
        (node, "mentioned", "facebook:user:9445547199"),
        (node, "mentioned", "facebook:user:119473588144372"),
        (node, "linked", page),
    }
    node = "facebook:post:19292868552_10158333323653553"
    video = sample(node)
    assert edges(video) == by_page(node) | {
        (node, "mentioned", "facebook:user:227685837266552"),
        (node, "contains", "facebook:media:1192957457884299"),
    }
    assert about(video, "facebook:media:1192957457884299").meta["media_type"] == "video"
    # The page of the same video contains the same medium.
    assert edges(sample("facebook:post:1192957457884299")) == {
        ("facebook:post:1192957457884299", "contains", "facebook:media:1192957457884299")
    }


def test_sample_of_an_album_in_a_post():
    record = sample("facebook:post:565225540184937_4018908568149933")
    assert positions(record) == [
        (0, "facebook:media:4018907174816739"),
        (1, "facebook:media:4018906174816839"),
        (2, "facebook:media:4018906414816815"),
        (3, "facebook:media:4018906991483424"),
        (4, "facebook:media:4018906914816765"),
        (5, "facebook:media:4018906428150147"),
        (6, "facebook:media:4018906648150125"),
    ]
    said = known(about(record, str(record.subject)))
    assert (said["reaction_count"], said["wow_count"], said["comment_count"]) == (8878, 113, 47)
    assert "share_count" not in said


def test_sample_photo():
    node = "facebook:post:10158249017468553"
    medium = "facebook:media:10158249017468553"
    record = sample(node, "models/photo.json")
    assert edges(record) == {
        ("facebook:user:19292868552", "authored", node),
        ("facebook:album:444082318552", "member", node),
        (node, "contains", medium),
        ("facebook:post:19292868552_10158249017468553", "contains", medium),
    }
    shown = about(record, medium).meta
    assert (shown["width"], shown["height"]) == (1369, 1369)
    assert shown["alt_text"] == "No photo description available."
    assert about(record, "facebook:album:444082318552").title == "Profile Pictures"
    assert edges(sample(node, "photos_info_fields.json")) == {(node, "contains", medium)}


def test_samples_of_comments():
    post = "facebook:post:19292868552_10158407654328553"
    first = sample("facebook:comment:10158407835073553")
    assert edges(first) == {(post, "reply", "facebook:comment:10158407835073553")}
    assert (first.observations[0].title or "").startswith("Boa noite peço ajuda")
    assert first.observations[0].meta["comment_count"] == 1
    answer = sample("facebook:comment:10158409983033553")
    assert edges(answer) == {
        ("facebook:comment:10158407903973553", "reply", "facebook:comment:10158409983033553")
    }


def test_samples_of_events_albums_and_videos():
    event = sample("facebook:event:5971414199599456")
    assert known(event.observations[0]) == {
        "object_id": "5971414199599456",
        "object_type": "event",
        "description": "Talk the descprition for python",
        "place_name": "Washington Place Dasmarinas - CVRI",
        "latitude": 14.274640893666,
        "longitude": 120.96776474724,
        "start_time": datetime(2021, 7, 23, 13, 0, tzinfo=UTC),
        "end_time": datetime(2021, 7, 26, 16, 0, tzinfo=UTC),
    }
    parent = "facebook:event:5971414199599456"
    assert edges(event) == {
        (parent, "member", "facebook:event:5971414202932789"),
        (parent, "member", "facebook:event:5971414216266121"),
        (parent, "member", "facebook:event:5971414206266122"),
        (parent, "member", "facebook:event:5971414212932788"),
    }
    album = sample("facebook:album:2121009424780877")
    assert (album.observations[0].title, edges(album)) == ("Cover Photos", set())
    video = sample("facebook:post:1002065083862711")
    assert about(video, "facebook:media:1002065083862711").meta["duration_s"] == 33.344
    single = sample("facebook:post:175154750010052_424924701699721")
    assert (single.number, single.observations[0].title) == (-1, "我测试一下 MyLife")
    assert single.observations[0].meta["haha_count"] == 1


def test_sniffs_its_own_samples():
    assert GRAPH.sniff(ScrapeFolder.of(samples("facebook-graph"))).confidence >= 0.8
    for other in ("instagram-graph", "instagram-legacy-api", "twitter-api-v2", "bluesky-api"):
        assert GRAPH.sniff(ScrapeFolder.of(samples(other))).confidence < 0.5, other
