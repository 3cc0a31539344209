"""Reddit samples, checked by hand: what the files say was read by a person."""

from __future__ import annotations

from datetime import UTC, datetime

from social_records import counts, links, observed, of_subject, read_set, said, samples

from adapters.records.folder import ScrapeFolder
from adapters.sources.reddit.api import ADAPTERS

REDDIT = ADAPTERS[0]


def test_counts_of_the_samples() -> None:
    assert counts(read_set(REDDIT, "reddit-listing")) == {
        "TestCollection.test_iter.0.json": (5, 0),
        "TestCommentForest.test_replace__on_direct_comment.0.json": (1, 0),
        # 145 comments and their post; one `more` stub.
        "TestCommentForest.test_replace__on_direct_comment.1.json": (146, 0),
        "TestMultiredditListings.test_rising.0.json": (16, 0),
        "TestMultiredditListings.test_top.0.json": (100, 0),
        "TestSubmission.test_comments.0.json": (3, 0),
        "TestSubmission.test_duplicates.0.json": (4, 0),
        "TestSubreddit.test_submit_gallery.0.json": (1, 0),
        "quicktype-reddit.json": (26, 0),
        # The sketch of a manual: `...` stands for what is left out, and brackets are missing.
        "rexport-example-output.json": (0, 1),
    }


def test_the_samples_are_recognised() -> None:
    assert REDDIT.sniff(ScrapeFolder.of(samples("reddit-listing"))).confidence >= 0.9


def test_sample_posts() -> None:
    items = read_set(REDDIT, "reddit-listing")
    top = items[("TestMultiredditListings.test_top.0.json", 0)]
    assert links(top) == {
        "reddit:user:ourearthinfocus -authored-> reddit:post:3i4h9a",
        "reddit:subreddit:earthporn -member-> reddit:post:3i4h9a",
        "reddit:post:3i4h9a -linked-> web:page:http://imgur.com/AmWThvw",
    }
    row = said(top, "reddit:post:3i4h9a")
    assert (row.meta["score"], row.meta["comment_count"]) == (12643, 932)
    assert row.update_time == datetime(2015, 8, 23, 21, 35, 26, tzinfo=UTC)

    history = items[("TestMultiredditListings.test_top.0.json", 5)]
    assert links(history) == {
        "reddit:user:hengistpod -authored-> reddit:post:3h7sjr",
        "reddit:subreddit:historyporn -member-> reddit:post:3h7sjr",
        "reddit:post:3h7sjr -contains 0-> web:media:http://i.imgur.com/eM4VBNY.jpg",
    }
    mercury = items[("TestMultiredditListings.test_top.0.json", 20)]
    assert (
        "reddit:post:1ggvi0 -contains 0-> web:media:http://www.tsene.com/wp-content/uploads/messenger_orbit.jpg"
        in links(mercury)
    )

    deleted = of_subject(items, "reddit:post:3uptfy")
    assert links(deleted) == {
        "reddit:subreddit:earthporn -member-> reddit:post:3uptfy",
        "reddit:post:3uptfy -contains 0-> web:media:http://i.imgur.com/WApVpO1.jpg",
    }
    assert said(deleted, "reddit:post:3uptfy").author is None

    nook = items[("quicktype-reddit.json", 3)]
    assert links(nook) == {
        "reddit:user:erininva -authored-> reddit:post:6u6mhp",
        "reddit:subreddit:funny -member-> reddit:post:6u6mhp",
        "reddit:post:6u6mhp -contains 0-> reddit:media:qeoezy2787gz",
    }
    medium = said(nook, "reddit:media:qeoezy2787gz")
    assert (medium.meta["width"], medium.meta["height"]) == (2250, 3000)
    assert said(nook, "reddit:post:6u6mhp").meta["is_spoiler"] is False


def test_sample_comments() -> None:
    items = read_set(REDDIT, "reddit-listing")
    tree = "TestCommentForest.test_replace__on_direct_comment.1.json"
    asked = said(of_subject(items, "reddit:post:57dw9a", tree), "reddit:post:57dw9a")
    assert asked.update_time == datetime(2016, 11, 8, 3, 7, 8, tzinfo=UTC)
    assert (asked.meta["score"], asked.meta["comment_count"]) == (113566, 16697)
    assert asked.meta["is_edited"] is True

    assert links(of_subject(items, "reddit:comment:d8r79x6", tree)) == {
        "reddit:user:stangibson18 -authored-> reddit:comment:d8r79x6",
        "reddit:subreddit:iama -member-> reddit:comment:d8r79x6",
        "reddit:comment:d8r4im1 -reply-> reddit:comment:d8r79x6",
        "reddit:conversation:57dw9a -conversation-> reddit:post:57dw9a",
        "reddit:conversation:57dw9a -conversation-> reddit:comment:d8r79x6",
    }
    gone = of_subject(items, "reddit:comment:d8rbuag", tree)
    assert observed(gone) == ["reddit:comment:d8rbuag"]
    assert said(gone, "reddit:comment:d8rbuag").title == "[deleted]"
    edited = said(of_subject(items, "reddit:comment:d8rmyfz", tree), "reddit:comment:d8rmyfz")
    assert edited.update_time == datetime(2016, 10, 14, 17, 25, 53, tzinfo=UTC)
    below = of_subject(items, "reddit:comment:d8rds90", tree)
    assert "reddit:comment:d8rbuag -reply-> reddit:comment:d8rds90" in links(below)
    assert said(below, "reddit:comment:d8rds90").meta["score"] == 0


def test_sample_collection_and_gallery() -> None:
    items = read_set(REDDIT, "reddit-listing")
    album = "reddit:album:847e4548-a3b5-4ad7-afb4-edbfc2ed0a6b"
    assert links(items[("TestCollection.test_iter.0.json", 0)]) == {
        f"reddit:user:<username> -authored-> {album}",
        f"{album} -member 0-> reddit:post:bn2luj",
        f"{album} -member 1-> reddit:post:bn3zcv",
        f"{album} -member 2-> reddit:post:bn406v",
        f"{album} -member 3-> reddit:post:bn41h2",
    }
    video = items[("TestCollection.test_iter.0.json", 4)]
    assert "reddit:post:bn41h2 -contains 0-> reddit:media:fdzc91dlbgx21" in links(video)
    gallery = items[("TestSubreddit.test_submit_gallery.0.json", 0)]
    assert {link for link in links(gallery) if "contains" in link} == {
        "reddit:post:huw6vs -contains 0-> reddit:media:pb7qsvi6i3c51",
        "reddit:post:huw6vs -contains 1-> reddit:media:14wmudl6i3c51",
        "reddit:post:huw6vs -contains 2-> reddit:media:vkm62gm6i3c51",
        "reddit:post:huw6vs -contains 3-> reddit:media:wka18en6i3c51",
    }
    assert said(gallery, "reddit:media:14wmudl6i3c51").title == "test.jpg"
    assert (
        said(gallery, "reddit:media:vkm62gm6i3c51").meta["url"]
        == "https://i.redd.it/vkm62gm6i3c51.gif"
    )
