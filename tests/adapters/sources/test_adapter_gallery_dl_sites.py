"""gallery-dl: the sites with rules of their own, and their quirks."""

from __future__ import annotations

from datetime import UTC, datetime

from gallery_dl_records import BIG, BLUESKY, BOORU, INSTAGRAM, PIXIV, REDDIT, TWEET
from sidecar_harness import edges, observed, read, read_one, write

from adapters.sources.gallery_dl import ADAPTERS

ADAPTER = ADAPTERS[0]

# ---- Instagram -------------------------------------------------------------------------------


def test_instagram_carousel(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"500_501.jpg.json": INSTAGRAM})
    post = observed(record, "instagram:post:500")
    assert (post.title, post.author, post.is_root) == ("Hills #Green", "instagram:user:9", False)
    assert post.update_time == datetime(2024, 3, 1, 10, 0, 0, tzinfo=UTC)
    assert post.meta == {
        "post_id": "500",
        "shortcode": "Pcode",
        "media_type": "carousel",
        "like_count": 77,
        "hashtags": ["Green"],
    }
    medium = observed(record, "instagram:media:501")
    assert medium.is_root and medium.update_time == datetime(2024, 3, 1, 10, 0, 1, tzinfo=UTC)
    assert medium.meta["media_type"] == "image" and "like_count" not in medium.meta
    (contains,) = [link for link in record.links if link.relationship == "contains"]
    assert contains.position == 1
    assert edges(record) == {
        ("instagram:user:9", "authored", "instagram:post:500"),
        ("instagram:post:500", "contains", "instagram:media:501"),
        ("instagram:user:9", "alias", "instagram:username:walker"),
        ("instagram:tag:green", "tagged", "instagram:post:500"),
    }


def test_instagram_carousel_says_the_same_of_the_post_in_every_sidecar(tmp_path):
    second = INSTAGRAM | {"media_id": "502", "num": 3, "date": "2024-03-01 10:00:09", "width": 1}
    write(tmp_path, {"500_501.jpg.json": INSTAGRAM, "500_502.jpg.json": second})
    one, two = read(ADAPTER, tmp_path)
    assert observed(one, "instagram:post:500") == observed(two, "instagram:post:500")
    assert observed(one, "instagram:user:9") == observed(two, "instagram:user:9")


def test_instagram_reel_nests_its_owner(tmp_path):
    gone = {"owner_id", "username", "fullname", "sidecar_media_id", "tags"}
    reel = {key: value for key, value in INSTAGRAM.items() if key not in gone} | {
        "type": "reel",
        "count": 1,
        "owner": {"pk": "9", "id": "9", "username": "walker", "full_name": "A Walker"},
        "video_url": "https://cdn.example/v.mp4",
    }
    record = read_one(ADAPTER, tmp_path, {"r.mp4.json": reel})
    assert observed(record, "instagram:post:500").author == "instagram:user:9"
    assert observed(record, "instagram:post:500").meta["media_type"] == "reel"
    assert observed(record, "instagram:user:9").title == "A Walker"
    medium = observed(record, "instagram:media:501")
    assert medium.meta["media_url"] == "https://cdn.example/v.mp4"
    assert medium.meta["media_type"] == "video"


def test_missing_and_null_are_the_same(tmp_path):
    absent = {key: value for key, value in INSTAGRAM.items() if key not in ("tags", "likes")}
    null = INSTAGRAM | {"tags": None, "likes": None}
    one = read_one(ADAPTER, tmp_path / "1", {"x.jpg.json": absent})
    two = read_one(ADAPTER, tmp_path / "2", {"x.jpg.json": null})
    assert (one.observations, one.links) == (two.observations, two.links)
    assert "like_count" not in observed(one, "instagram:post:500").meta


# ---- Twitter ---------------------------------------------------------------------------------


def test_tweet(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": TWEET})
    post = observed(record, f"twitter:post:{BIG}")
    assert post.meta["post_id"] == "9007199254740995"
    assert (post.view, post.meta["favorite_count"], post.title) == (None, 4, "hello")
    assert observed(record, "twitter:media:KeyOfMedium").meta["alt_text"] == "a hill"
    assert edges(record) == {
        ("twitter:user:7", "authored", "twitter:post:9007199254740995"),
        ("twitter:post:9007199254740995", "contains", "twitter:media:KeyOfMedium"),
        ("twitter:user:7", "alias", "twitter:username:alice"),
        ("twitter:conversation:9007199254740995", "conversation", "twitter:post:9007199254740995"),
    }


def test_retweet_belongs_to_the_user_and_its_media_to_the_author(tmp_path):
    retweet = TWEET | {
        "tweet_id": 30,
        "retweet_id": 20,
        "conversation_id": 30,
        "quoted_id": 10,
        "favorite_count": 0,
        "retweet_count": 8,
        "user": {"id": 9, "name": "Bob", "nick": "Bob B"},
        "date_original": "2024-01-01 00:00:00",
    }
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": retweet})
    post = observed(record, "twitter:post:30")
    assert (post.author, post.meta["retweet_count"]) == ("twitter:user:9", 8)
    assert "favorite_count" not in post.meta
    medium = observed(record, "twitter:media:KeyOfMedium")
    assert medium.author == "twitter:user:7"
    assert medium.update_time == datetime(2024, 1, 1, tzinfo=UTC)
    assert edges(record) >= {
        ("twitter:user:9", "authored", "twitter:post:30"),
        ("twitter:user:7", "authored", "twitter:post:20"),
        ("twitter:post:20", "repost", "twitter:post:30"),
        ("twitter:post:20", "contains", "twitter:media:KeyOfMedium"),
        ("twitter:post:10", "quote", "twitter:post:20"),
    }
    assert ("twitter:post:30", "contains", "twitter:media:KeyOfMedium") not in edges(record)


def test_tweet_without_media_replies_and_quotes(tmp_path):
    gone = ("filename", "extension", "num", "type", "description")
    text = {key: value for key, value in TWEET.items() if key not in gone} | {
        "reply_id": 41,
        "quote_id": 42,
        "mentions": [{"id": 5, "name": "Eve"}],
        "hashtags": ["Hills"],
    }
    record = read_one(ADAPTER, tmp_path, {"info.json": text})
    assert not any(about.is_root for about in record.observations)
    assert edges(record) >= {
        ("twitter:post:41", "reply", f"twitter:post:{BIG}"),
        (f"twitter:post:{BIG}", "quote", "twitter:post:42"),
        (f"twitter:post:{BIG}", "mentioned", "twitter:user:5"),
        ("twitter:tag:hills", "tagged", f"twitter:post:{BIG}"),
    }


# ---- pixiv, Fanbox ---------------------------------------------------------------------------


def test_pixiv_counts_pages_from_0_and_names_its_zone(tmp_path):
    second = PIXIV | {"num": 1, "filename": "4000_p1"}
    write(tmp_path, {"11 P/4000_p0.png.json": PIXIV, "11 P/4000_p1.png.json": second})
    one, two = read(ADAPTER, tmp_path)
    contains = [x for r in (one, two) for x in r.links if x.relationship == "contains"]
    assert [(link.child, link.position) for link in contains] == [
        ("pixiv:media:4000_p0", 0),
        ("pixiv:media:4000_p1", 1),
    ]
    post = observed(one, "pixiv:post:4000")
    assert post == observed(two, "pixiv:post:4000")
    assert post.update_time == datetime(2024, 4, 30, 23, tzinfo=UTC)
    assert (post.view, post.meta["bookmark_count"], post.meta["rating"]) == (900, 30, "general")
    assert ("pixiv:user:11", "alias", "pixiv:username:paint") in edges(one)


def test_pixiv_novels_are_numbered_apart(tmp_path):
    novel = PIXIV | {"subcategory": "novel", "text_length": 5, "series": {"id": 3, "title": "S"}}
    record = read_one(ADAPTER, tmp_path, {"n.txt.json": novel})
    assert record.subject == "pixiv:novel:4000"
    assert ("pixiv:album:3", "member", "pixiv:novel:4000") in edges(record)


def test_fanbox_authors_are_pixiv_users(tmp_path):
    post = {
        "category": "fanbox",
        "id": "66",
        "title": "News",
        "user": {"userId": "11", "name": "Painter"},
        "creatorId": "painter",
        "likeCount": 3,
        "publishedDatetime": "2024-05-01T08:00:00+09:00",
        "num": 1,
        "filename": "imgid",
        "extension": "jpeg",
    }
    record = read_one(ADAPTER, tmp_path, {"x.jpeg.json": post})
    assert edges(record) == {
        ("pixiv:user:11", "authored", "fanbox:post:66"),
        ("fanbox:post:66", "contains", "fanbox:media:imgid"),
        ("pixiv:user:11", "alias", "fanbox:username:painter"),
    }


# ---- Reddit, Bluesky, boorus -----------------------------------------------------------------


def test_reddit_gallery(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"abc12 02 Two 🏔 hills.jpg.json": REDDIT})
    post = observed(record, "reddit:post:abc12")
    assert (post.view, post.meta["score"], post.meta["post_id"]) == (None, -3, "t3_abc12")
    assert post.update_time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    medium = observed(record, "reddit:media:med2")
    assert (medium.title, medium.meta["width"], medium.meta["height"]) == ("the second", 30, 40)
    (contains,) = [link for link in record.links if link.relationship == "contains"]
    assert contains.position == 1
    assert edges(record) == {
        ("reddit:user:some_one", "authored", "reddit:post:abc12"),
        ("reddit:post:abc12", "contains", "reddit:media:med2"),
        ("reddit:subreddit:hills", "member", "reddit:post:abc12"),
    }


def test_reddit_comment_and_crosspost(tmp_path):
    comment = {"id": "c1", "author": "Eve", "body": "here", "parent_id": "t3_abc12"}
    record = read_one(
        ADAPTER,
        tmp_path,
        {"x.jpg.json": REDDIT | {"comment": comment, "crosspost_parent": "t3_orig"}},
    )
    assert edges(record) >= {
        ("reddit:post:orig", "repost", "reddit:post:abc12"),
        ("reddit:post:abc12", "reply", "reddit:comment:c1"),
        ("reddit:comment:c1", "contains", "reddit:media:med2"),
        ("reddit:user:eve", "authored", "reddit:comment:c1"),
    }
    assert observed(record, "reddit:media:med2").author == "reddit:user:eve"


def test_reddit_deleted_authors_are_none(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": REDDIT | {"author": "[deleted]"}})
    assert observed(record, "reddit:post:abc12").author is None


def test_bluesky(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": BLUESKY})
    post = "bluesky:post:at://did:plc:one/app.bsky.feed.post/3k"
    root = "at://did:plc:two/app.bsky.feed.post/3h"
    assert edges(record) == {
        ("bluesky:user:did:plc:one", "authored", post),
        (post, "contains", "bluesky:media:bafyblob"),
        ("bluesky:user:did:plc:one", "alias", "bluesky:username:one.example"),
        ("bluesky:post:at://did:plc:two/app.bsky.feed.post/3j", "reply", post),
        ("bluesky:post:at://did:plc:three/app.bsky.feed.post/3i", "quote", post),
        (f"bluesky:conversation:{root}", "conversation", post),
        (f"bluesky:conversation:{root}", "conversation", f"bluesky:post:{root}"),
    }
    assert observed(record, "bluesky:media:bafyblob").meta["alt_text"] == "alt"


def test_booru(tmp_path):
    record = read_one(ADAPTER, tmp_path, {"x.jpg.json": BOORU})
    medium = "danbooru:media:0123456789abcdef0123456789abcdef"
    post = observed(record, "danbooru:post:55")
    assert post.meta["tags"] == ["1girl", "ken_(koala)", "hat"]
    assert (post.meta["artists"], post.meta["characters"]) == (["ken_(koala)"], ["someone"])
    assert (post.meta["score"], post.author) == (-2, "danbooru:user:8")
    assert post.update_time == datetime(2024, 6, 1, 5, tzinfo=UTC)
    assert edges(record) == {
        ("danbooru:user:8", "authored", "danbooru:post:55"),
        ("danbooru:post:55", "contains", medium),
        ("danbooru:tag:1girl", "tagged", "danbooru:post:55"),
        ("danbooru:tag:ken_(koala)", "tagged", "danbooru:post:55"),
        ("danbooru:tag:hat", "tagged", "danbooru:post:55"),
        ("danbooru:tag:ken_(koala)", "credited", "danbooru:post:55"),
        ("danbooru:post:54", "linked", "danbooru:post:55"),
        ("danbooru:post:55", "linked", "pixiv:post:4000"),
    }
