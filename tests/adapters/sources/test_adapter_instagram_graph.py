"""Instagram Graph API: quirks on values of our own, then real samples checked by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

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
    positions,
    records,
    samples,
    subject,
)

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Record
from adapters.sources.instagram.graph import ADAPTERS

GRAPH = ADAPTERS[0]

# The short code BG9It spells 18600493.
PHOTO = {
    "id": "17890000000000001",
    "media_type": "IMAGE",
    "media_url": "https://scontent.example/v/1_2_3_n.jpg?_nc=1",
    "permalink": "https://www.instagram.com/p/BG9It/",
    "caption": "Fish at #Sea with @Bob. and #Sea #2021",
    "timestamp": "2021-07-26T10:45:20+0000",
    "username": "Ada_L",
    "owner": {"id": "17841400000000007"},
    "like_count": 3,
    "comments_count": 2,
}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.data())
def test_mutated_media_never_raise(tmp_path: Path, value: st.DataObject):
    comment = {"id": "41", "text": "hi @Eve", "timestamp": "2021-07-26T10:45:20+0000"}
    post = {**PHOTO, "children": {"data": [PHOTO]}, "comments": {"data": [comment]}}
    original = {"business_discovery": {"id": "7", "username": "a", "media": {"data": [post]}}}
    check_survives(GRAPH, tmp_path, "a.json", value.draw(mutated([original, {"data": [post]}])))


# ---- Real samples ------------------------------------------------------------------------------


def test_samples_are_read_completely():
    assert counts(outputs(GRAPH, samples("instagram-graph"))) == {
        "base/discovery_medias_p1.json": (5, 0),
        "instagram/apidata/discovery/medias_p1.json": (2, 0),
        "instagram/apidata/hashtags/hashtag_top_medias_p1.json": (25, 0),
        "instagram/apidata/medias/children.json": (2, 0),
        "instagram/apidata/medias/media_default.json": (1, 0),
        "instagram/apidata/stories/stories_fields_p1.json": (2, 0),
        "instagram/apidata/users/medias_p1.json": (2, 0),
        "instagram/models/ig_media.json": (1, 0),
        "instagram_basic/apidata/user/user_medias_p1.json": (2, 0),
    }


def sample(path: str, post_id: str) -> Record:
    found = [r for r in records(GRAPH, samples("instagram-graph")) if r.path.endswith(path)]
    return subject(found, f"instagram:post:{post_id}")


def test_samples_of_one_carousel_asked_for_in_two_ways():
    # ig_id and the short code of the same post lead to the same nodes.
    node = "instagram:post:2626274342904627384"
    contents = {
        (node, "contains", "instagram:media:2626274339507204068"),
        (node, "contains", "instagram:media:2626274339524019819"),
        (node, "contains", "instagram:media:2626274269042933618"),
        (node, "alias", "instagram:post:17896129349106152"),
    }
    short = sample("media_default.json", "2626274342904627384")
    assert edges(short) == contents
    full = sample("ig_media.json", "2626274342904627384")
    assert edges(full) == contents | {
        ("instagram:user:17841406338772941", "authored", node),
        ("instagram:user:17841406338772941", "alias", "instagram:username:ikroskun"),
    }
    assert positions(short) == positions(full)
    assert known(about(full, node)) == {
        "post_id": "2626274342904627384",
        "shortcode": "CRyZpmrjYC4",
        "url": "https://www.instagram.com/p/CRyZpmrjYC4/",
        "media_type": "carousel",
        "like_count": 1,
        "comment_count": 0,
    }
    assert about(full, node).title == "ALBUM"
    assert about(full, "instagram:media:2626274269042933618").meta["media_type"] == "video"


def test_samples_of_basic_display():
    first = sample("user_medias_p1.json", "2242863121303389438")
    node = "instagram:post:2242863121303389438"
    assert edges(first) == {
        ("instagram:username:ikroskun", "authored", node),
        (node, "alias", "instagram:post:17846368219941692"),
        (node, "contains", "instagram:media:2242863121303389438"),
        ("instagram:tag:cute", "tagged", node),
        ("instagram:tag:loveyou", "tagged", node),
        (node, "mentioned", "instagram:username:ikroskun"),
    }
    second = sample("user_medias_p1.json", "2242862019300477120")
    node = "instagram:post:2242862019300477120"
    assert edges(second) == {
        ("instagram:username:ikroskun", "authored", node),
        (node, "alias", "instagram:post:18091893643133286"),
        (node, "contains", "instagram:media:2242862019300477120"),
        ("instagram:tag:love", "tagged", node),
    }
    assert about(second, node).update_time == datetime(2020, 2, 13, 10, 33, 29, tzinfo=UTC)


def test_samples_of_discovery_and_of_a_user():
    first = sample("discovery/medias_p1.json", "2642468740567312952")
    node = "instagram:post:2642468740567312952"
    assert edges(first) == {
        ("instagram:user:17841407673135339", "authored", node),
        (node, "alias", "instagram:post:17885103395504675"),
        (node, "contains", "instagram:media:2642468740567312952"),
    }
    video = sample("discovery_medias_p1.json", "2690152665356279913")
    node = "instagram:post:2690152665356279913"
    assert edges(video) == {
        (node, "alias", "instagram:post:17984016661384418"),
        (node, "contains", "instagram:media:2690152665356279913"),
    }
    said = known(about(video, node))
    assert (said["media_type"], said["like_count"], said["comment_count"]) == ("video", 958, 333)
    own = sample("users/medias_p1.json", "2639238436850361003")
    said = known(about(own, "instagram:post:2639238436850361003"))
    assert (said["like_count"], said["comment_count"]) == (2, 6)


def test_samples_of_children_stories_and_hashtags():
    child = sample("children.json", "2643616125417883774")
    node = "instagram:post:2643616125417883774"
    assert edges(child) == {
        (node, "alias", "instagram:post:17924318443748703"),
        (node, "contains", "instagram:media:2643616125417883774"),
    }
    story = sample("stories_fields_p1.json", "18168273289049440")
    node = "instagram:post:18168273289049440"
    assert edges(story) == {
        ("instagram:username:ikroskun", "authored", node),
        (node, "contains", "instagram:media:18168273289049440"),
    }
    tagged = sample("hashtag_top_medias_p1.json", "2242969755719764509")
    node = "instagram:post:2242969755719764509"
    assert edges(tagged) == {
        (node, "alias", "instagram:post:18088158883149835"),
        (node, "contains", "instagram:media:2242969755719764509"),
        ("instagram:tag:makkah__madinah", "tagged", node),
    }
    found = records(GRAPH, samples("instagram-graph"))
    top = [r for r in found if r.path.endswith("hashtag_top_medias_p1.json")]
    assert [len(positions(r)) for r in top] == [1] * 10 + [4] + [1] * 14


def test_sniffs_its_own_samples():
    assert GRAPH.sniff(ScrapeFolder.of(samples("instagram-graph"))).confidence >= 0.8
    for other in ("instagram-legacy-api", "facebook-graph", "gallery-dl-instagram"):
        assert GRAPH.sniff(ScrapeFolder.of(samples(other))).confidence < 0.5, other
