"""gallery-dl: the recorded samples, against what a person read in them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sidecar_harness import check, edges, mutated, observed, read, samples, write

from adapters.records.folder import ScrapeFolder
from adapters.records.items import Problem, Record
from adapters.sources.gallery_dl import ADAPTERS

ADAPTER = ADAPTERS[0]

# (end of the path, post, author, medium, position, view, time, other edges as (parent, name))
EXPECTED: list[tuple[str, str, str, str, int, int | None, datetime, set[tuple[str, str]]]] = [
    (
        "discoverearth/2224793993484831573_2224793990716591208.jpg.json",
        "instagram:post:2224793993484831573",
        "instagram:user:280526827",
        "instagram:media:2224793990716591208",
        1,
        None,
        datetime(2020, 1, 19, 12, 15, 33, tzinfo=UTC),
        {("instagram:tag:discoverchina", "tagged")},
    ),
    (
        "discoverearth/2206063702184313811.mp4.json",
        "instagram:post:2206063702184313811",
        "instagram:user:280526827",
        "instagram:media:2206063702184313811",
        0,
        None,
        datetime(2019, 12, 24, 16, 1, 56, tzinfo=UTC),
        {("instagram:tag:discovergermany", "tagged")},
    ),
    (
        "timeoutlondon/2266372050335862738.jpg.json",
        "instagram:post:2266372050335862738",
        "instagram:user:10139962",
        "instagram:media:2266372050335862738",
        0,
        None,
        datetime(2020, 3, 16, 21, 3, 43, tzinfo=UTC),
        set(),
    ),
    (
        "run-2026-05-media/1561833980286173186_1.jpg.json",
        "twitter:post:1561833980286173186",
        "twitter:user:2244994945",
        "twitter:media:Fay_uCeWYAQO8HM",
        0,
        None,
        datetime(2022, 8, 22, 21, 53, 33, tzinfo=UTC),
        {
            ("twitter:conversation:1561833980286173186", "conversation"),
            ("twitter:tag:twitterapi", "tagged"),
        },
    ),
    (
        "run-2026-05-media/1961527131134988419_1.mp4.json",
        "twitter:post:1961527131134988419",
        "twitter:user:2244994945",
        "twitter:media:Gzi-hxlXoAAUdQa",
        0,
        758,
        datetime(2025, 8, 29, 20, 31, 26, tzinfo=UTC),
        {
            ("twitter:conversation:1961525537173889069", "conversation"),
            ("twitter:post:1961525537173889069", "reply"),
        },
    ),
    (
        "run-2026-07-tweets/2067064261264986463_1.jpg.json",
        "twitter:post:2067064261264986463",
        "twitter:user:2244994945",
        "twitter:media:HK-v8WBaoAEuzZj",
        0,
        44099,
        datetime(2026, 6, 17, 1, 58, 18, tzinfo=UTC),
        {("twitter:conversation:2067064261264986463", "conversation")},
    ),
    (
        "2232374 raika9/75457783_p0.jpg.json",
        "pixiv:post:75457783",
        "pixiv:user:2232374",
        "pixiv:media:75457783_p0",
        0,
        29200,
        datetime(2019, 6, 29, 0, 44, 52, tzinfo=UTC),
        {
            ("pixiv:tag:とある科学の超電磁砲", "tagged"),
            ("pixiv:tag:とある魔術の禁書目録", "tagged"),
            ("pixiv:tag:御坂美琴", "tagged"),
            ("pixiv:tag:とある1000users入り", "tagged"),
            ("pixiv:tag:水着", "tagged"),
            ("pixiv:tag:シャワー", "tagged"),
        },
    ),
    (
        "2232374 raika9/76695217_p6.jpg.json",
        "pixiv:post:76695217",
        "pixiv:user:2232374",
        "pixiv:media:76695217_p6",
        6,
        30105,
        datetime(2019, 9, 8, 19, 32, 38, tzinfo=UTC),
        {
            ("pixiv:tag:御坂美琴", "tagged"),
            ("pixiv:tag:とある魔術の禁書目録", "tagged"),
            ("pixiv:tag:とある科学の超電磁砲", "tagged"),
            ("pixiv:tag:削板軍覇", "tagged"),
            ("pixiv:tag:とある1000users入り", "tagged"),
            ("pixiv:tag:垣根帝督", "tagged"),
        },
    ),
    (
        "Armor/1skad0l 02 One of my kits, AMA.jpg.json",
        "reddit:post:1skad0l",
        "reddit:user:awaygovernment395",
        "reddit:media:w4mwd2ksiyug1",
        1,
        None,
        datetime(2026, 4, 13, 13, 9, 8, tzinfo=UTC),
        {("reddit:subreddit:armor", "member")},
    ),
    (
        "TEST_SUBREDDIT/huw6vs 02 Test Title.jpg.json",
        "reddit:post:huw6vs",
        "reddit:user:<username>",
        "reddit:media:14wmudl6i3c51",
        1,
        None,
        datetime(2020, 7, 20, 23, 18, 55, tzinfo=UTC),
        {("reddit:subreddit:<test_subreddit>", "member")},
    ),
    (
        "2023-09-28T12:49:36_3kaheyt6vpc22_1.jpg.json",
        "bluesky:post:at://did:plc:kvwvcn5iqfooopmyzvb4qzba/app.bsky.feed.post/3kaheyt6vpc22",
        "bluesky:user:did:plc:kvwvcn5iqfooopmyzvb4qzba",
        "bluesky:media:bafkreic3cp5ky525vsukjvrzxsc2h3jka2gud74l2hgeatw2rhj2qycnmq",
        0,
        None,
        datetime(2023, 9, 28, 12, 49, 36, 735000, tzinfo=UTC),
        {
            (
                "bluesky:post:at://did:plc:kvwvcn5iqfooopmyzvb4qzba/app.bsky.feed.post/3kahesw26il2z",
                "quote",
            )
        },
    ),
]


def records(name: str) -> dict[str, Record]:
    items = read(ADAPTER, samples(name))
    assert not [item for item in items if isinstance(item, Problem)]
    return {item.path: item for item in items if isinstance(item, Record)}


@pytest.mark.parametrize("expected", EXPECTED, ids=[row[0] for row in EXPECTED])
def test_records_that_a_person_read(expected: Any):
    ending, post, author, medium, position, view, time, others = expected
    name = "gallery-dl-instagram" if post.startswith("instagram") else "gallery-dl-replayed"
    (path,) = [path for path in ScrapeFolder.of(samples(name)).paths if path.endswith(ending)]
    (record,) = [item for item in read(ADAPTER, samples(name)) if item.path == path]
    assert isinstance(record, Record) and record.subject == post
    about = observed(record, post)
    assert (about.author, about.view, about.update_time) == (author, view, time)
    assert observed(record, medium).is_root and observed(record, medium).author == author
    found = {(edge[0], edge[1]) for edge in edges(record) if edge[2] == post}
    assert found == {(author, "authored")} | others
    (contains,) = [link for link in record.links if link.relationship == "contains"]
    assert (contains.parent, contains.child, contains.position) == (post, medium, position)


def test_a_retweet_that_a_person_read():
    path = "twitter/run-2026-05-tweets/2056880952802943186_1.mp4.json"
    record = records("gallery-dl-replayed")[path]
    assert edges(record) == {
        ("twitter:user:2244994945", "authored", "twitter:post:2056880952802943186"),
        ("twitter:user:1318419526132862976", "authored", "twitter:post:2056872329561710766"),
        ("twitter:post:2056872329561710766", "repost", "twitter:post:2056880952802943186"),
        ("twitter:post:2056872329561710766", "contains", "twitter:media:Pufer8EOdHaJtYF1"),
        ("twitter:post:2056871280599847054", "quote", "twitter:post:2056872329561710766"),
        (
            "twitter:conversation:2056880952802943186",
            "conversation",
            "twitter:post:2056880952802943186",
        ),
        ("twitter:post:2056880952802943186", "mentioned", "twitter:user:1661523610111193088"),
        ("twitter:user:2244994945", "alias", "twitter:username:xdevelopers"),
        ("twitter:user:1318419526132862976", "alias", "twitter:username:nousresearch"),
        ("twitter:user:1661523610111193088", "alias", "twitter:username:xai"),
    }
    medium = observed(record, "twitter:media:Pufer8EOdHaJtYF1")
    assert medium.author == "twitter:user:1318419526132862976"
    assert medium.update_time == datetime(2026, 5, 19, 22, 59, 12, tzinfo=UTC)
    assert medium.meta["duration_ms"] == 18_000


def test_every_sample_is_a_record():
    assert len(records("gallery-dl-instagram")) == 198
    assert len(records("gallery-dl-replayed")) == 174
    for name in ("gallery-dl-instagram", "gallery-dl-replayed"):
        assert ADAPTER.sniff(ScrapeFolder.of(samples(name))).confidence >= 0.9


def test_carousels_are_one_post():
    of_post: dict[Any, list[Record]] = {}
    for record in records("gallery-dl-instagram").values():
        of_post.setdefault(record.subject, []).append(record)
    several = {post: found for post, found in of_post.items() if len(found) > 1}
    assert several
    for post, found in several.items():
        assert len({repr(observed(record, post)) for record in found}) == 1
        contained = [link for one in found for link in one.links if link.relationship == "contains"]
        assert len({link.child for link in contained}) == len(found)
        assert len({link.position for link in contained}) == len(found)


def test_three_runs_of_one_timeline_give_the_same_edges_and_other_observations():
    runs: dict[str, dict[str, Record]] = {}
    for path, record in records("gallery-dl-replayed").items():
        if "-media/" in path:
            _, run, name = path.split("/")
            runs.setdefault(run, {})[name] = record
    first, second, third = (runs[f"run-2026-0{month}-media"] for month in (5, 6, 7))
    assert len(first) == 24 and len(second) == 21 and len(third) == 31
    for earlier, later in ((first, second), (second, third), (first, third)):
        common = earlier.keys() & later.keys()
        assert len(common) >= 10
        for name in common:
            # Between the runs an account got another number, and with it those who mention it.
            differing = edges(earlier[name]) ^ edges(later[name])
            assert {edge[1] for edge in differing} <= {"mentioned", "alias"}, name
            aliases = {edge[2] for edge in differing if edge[1] == "alias"}
            assert aliases <= {"twitter:username:xai"}, name
            assert [about.node for about in earlier[name].observations] == [
                about.node for about in later[name].observations
            ]
        assert any(earlier[name].observations != later[name].observations for name in common)


# ---- The tests of gallery-dl itself ------------------------------------------------------------

# These give only what their test is about, and neither id nor address.
WITHOUT_IDENTITY = {
    *("deviantart-067", "fanbox-011", "patreon-019", "pexels-000", "smugmug-002"),
    *("wallhaven-001", "zerochan-006", "zerochan-009"),
}
SUBJECTS = {
    "behance-000": ("behance:post:17386197", "behance:user:119690"),
    "comick-003": ("comick:post:Zqu59ZKD", "comick:username:nakamura rikito"),
    "facebook-024": ("facebook:post:10160743390456729", "facebook:user:100064860875397"),
    "facebook-036": ("facebook:user:100046356937542", None),
    "flickr-000": ("flickr:post:16089302239", "flickr:user:59437997@N05"),
    "imgbb-008": ("imgbb:post:qdT0v8H", "imgbb:user:GvFMGK"),
    "mangadex-000": (
        "mangadex:post:f946ac53-0b71-4b5d-aeb2-7931b13c4aaa",
        "mangadex:username:Oda Eiichirou",
    ),
    "naverblog-000": ("naverblog:post:221430673006", "naverblog:user:rlfqjxm0"),
    "newgrounds-012": ("newgrounds:post:609768", "newgrounds:username:zj"),
    "poipiku-002": ("poipiku:post:5864576", "poipiku:user:25049"),
    "telegraph-003": (
        "telegraph:post:Disharmonica---Saber-Nero-02-21",
        "telegraph:username:cosmos",
    ),
    "tenor-000": ("tenor:post:8525772382434057283", "tenor:user:11989898659889539214"),
    "tumblr-036": ("tumblr:post:812307562622042112", "tumblr:user:t:7e50zZpVin78ZAzj-oLhlg"),
    "unsplash-000": ("unsplash:post:kaoHI0iHJPM", "unsplash:user:F4HO358YSeo"),
    "weasyl-000": ("weasyl:post:2031", "weasyl:username:fiz"),
    "webtoons-000": ("webtoons:post:352/572", "webtoons:username:chris mccoy"),
    "zerochan-003": ("zerochan:post:2920445", "zerochan:username:yukinotokisaki"),
}


@pytest.fixture
def expected_folder(tmp_path):
    files: dict[str, Any] = {}
    root = samples("gallery-dl-expected")
    for path in ScrapeFolder.of(root).paths:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            test = json.load(file)
        names = test["extractor"] or ["", path.split("/")[0], "post"]
        files[path] = {"category": names[1], "subcategory": names[2]} | test["keywords"]
    return write(tmp_path, files)


def test_expected_metadata_of_more_than_thirty_sites(expected_folder):
    check(ADAPTER, expected_folder)
    items = {os.path.basename(item.path)[:-5]: item for item in read(ADAPTER, expected_folder)}
    assert len(items) == 62
    problems = {name for name, item in items.items() if isinstance(item, Problem)}
    assert problems == WITHOUT_IDENTITY
    for name, (subject, author) in SUBJECTS.items():
        record = items[name]
        assert isinstance(record, Record)
        assert record.subject == subject, name
        if author is not None:
            assert observed(record, subject).author == author, name
            assert (author, "authored", subject) in edges(record), name


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_mutated_samples_never_raise(tmp_path_factory, seed: int):
    paths = [
        os.path.join(samples(name), path)
        for name in ("gallery-dl-replayed", "gallery-dl-instagram")
        for path in ScrapeFolder.of(samples(name)).paths[seed % 7 :: 61]
    ]
    with open(paths[seed % len(paths)], encoding="utf-8") as file:
        record = json.load(file)
    check(ADAPTER, write(tmp_path_factory.mktemp("fuzz"), {"a.json": mutated(record, seed)}))
