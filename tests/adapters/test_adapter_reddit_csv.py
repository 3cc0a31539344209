"""Reddit posts as CSV: made-up tables, then samples checked by hand."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from social_records import check_adapter, counts, links, read, read_set, said, samples, write_files

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile, Problem, Record
from adapters.sources.reddit.table import ADAPTERS

CSV = ADAPTERS[0]
HEADER = (
    "created_utc,score,ups,num_comments,id,name,title,permalink,over_18,is_self,edited,url,selftext"
)


def table(*rows: list[str], header: str = HEADER) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return text.getvalue()


ROW = [
    "1600000000.0",
    "12.0",
    "14",
    "3",
    "a1",
    "t3_a1",
    'A "walk", long',
    "http://www.reddit.com/r/Trails/comments/a1/a_walk/",
    "False",
    "False",
    "False",
    "http://i.example.net/Qwerty1.jpg",
    "",
]


def test_a_row(tmp_path: Path) -> None:
    (item,) = read(CSV, tmp_path, {"Trails.csv": table(ROW)})
    assert isinstance(item, Record)
    assert (item.number, item.complete["score"]) == (0, "12.0")
    assert links(item) == {
        "reddit:subreddit:trails -member-> reddit:post:a1",
        "reddit:post:a1 -contains 0-> web:media:http://i.example.net/Qwerty1.jpg",
    }
    row = said(item, "reddit:post:a1")
    assert (row.title, row.author) == ('A "walk", long', None)
    assert row.update_time == datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    assert row.meta == {
        "post_id": "t3_a1",
        "subreddit": "Trails",
        "score": 12,
        "up_count": 14,
        "comment_count": 3,
        "permalink": "http://www.reddit.com/r/Trails/comments/a1/a_walk/",
        "url": "http://i.example.net/Qwerty1.jpg",
        "is_nsfw": False,
        "is_self": False,
        "is_edited": False,
    }


def test_the_picture_is_found_by_address_or_id(tmp_path: Path) -> None:
    other = [*ROW[:4], "b2", "t3_b2", *ROW[6:11], "http://example.net/page", ""]
    files = {"Trails.csv": table(ROW, other), "img/Qwerty1.jpg": b"1", "img/b2.png": b"2"}
    items = read(CSV, tmp_path, files)
    assert "reddit:post:a1 -contains 0-> file:img/Qwerty1.jpg" in links(items[0])
    assert "reddit:post:b2 -contains 0-> file:img/b2.png" in links(items[1])
    assert said(items[1], MediaFile("img/b2.png")).meta["url"] == "http://example.net/page"


@pytest.mark.parametrize(
    ("edited", "expected"), [("True", True), ("False", False), ("1600000500.0", True), ("", None)]
)
def test_edited(tmp_path: Path, edited: str, expected: bool | None) -> None:
    (item,) = read(CSV, tmp_path, {"t.csv": table([*ROW[:10], edited, *ROW[11:]])})
    assert said(item, "reddit:post:a1").meta.get("is_edited") is expected


def test_a_table_with_authors_and_comments(tmp_path: Path) -> None:
    header = "created_utc,score,id,name,body,parent_id,link_id,author,subreddit"
    row = ["1600000000", "-4", "c1", "t1_c1", "two\nlines", "t3_a1", "t3_a1", "Bob", "Trails"]
    (item,) = read(CSV, tmp_path, {"t.csv": table(row, header=header)})
    assert {
        "reddit:user:bob -authored-> reddit:comment:c1",
        "reddit:post:a1 -reply-> reddit:comment:c1",
    } < links(item)
    assert said(item, "reddit:comment:c1").meta["score"] == -4
    assert said(item, "reddit:comment:c1").title == "two\nlines"


def test_bad_rows_and_tables(tmp_path: Path) -> None:
    long, nameless = [*ROW, "one too many"], [*ROW[:4], "", "", *ROW[6:]]
    files = {"a.csv": table(long, nameless, ROW, ROW[:6]), "b.csv": "x,y\n1,2\n", "c.csv": ""}
    items = read(CSV, tmp_path, files)
    assert [(item.path, item.number, type(item).__name__) for item in items] == [
        ("a.csv", 0, "Problem"),
        ("a.csv", 1, "Problem"),
        ("a.csv", 2, "Record"),
        ("a.csv", 3, "Record"),
        ("b.csv", -1, "Problem"),
        ("c.csv", -1, "Problem"),
    ]
    assert isinstance(items[0], Problem)
    assert "more cells" in items[0].reason


def test_odd_bytes(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + table(ROW).replace("walk", "caf\xe9").encode("latin-1")
    (item,) = read(CSV, tmp_path, {"t.csv": data})
    assert said(item, "reddit:post:a1").title == 'A "caf\xe9", long'


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.text(max_size=10)), max_size=4), st.binary())
def test_mutated_rows_never_raise(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str]], rest: bytes
) -> None:
    row = list(ROW)
    for column, text in changes:
        row[column] = text
    root = tmp_path_factory.mktemp("csv")
    data = table(row).encode("utf-8", "surrogatepass") + rest
    write_files(root, {"t.csv": data})
    records, problems = check_adapter(CSV, str(root))
    assert records or problems


# ---- Samples --------------------------------------------------------------------------------


def test_samples() -> None:
    items = read_set(CSV, "reddit-top-csv")
    files = ("Art.csv", "EarthPorn.csv", "aww.csv", "space.csv")
    assert counts(items) == dict.fromkeys(files, (150, 0))
    assert CSV.sniff(ScrapeFolder.of(samples("reddit-top-csv"))).confidence >= 0.9
    # Read in the files: place, id, title, score, votes up, comments, what the address is.
    expected = [
        ("Art.csv", 0, "181750", "My sister's impressive art progression from age 9-18", 3178, 6095, 269),  # noqa: E501
        ("Art.csv", 1, "13qk6g", 'Carved marble sculpture I did last semester. I titled it "Tread Softly"', 3146, 5633, 137),  # noqa: E501
        ("Art.csv", 5, "1fa1ga", "A Quick Guide to 20th Century Art Movements", 2407, 3685, 223),
        ("EarthPorn.csv", 0, "14yb2b", "The Flatirons, Boulder, CO [1968x1310]", 4431, 7856, 203),
        ("EarthPorn.csv", 3, "1dxt17", "Glow Worm Cave in Waitamo, New Zealand [671x473]", 3626, 10094, 180),  # noqa: E501
        ("aww.csv", 1, "13x8o5", "This cat is prettier than most humans", 7128, 24258, 745),
        ("aww.csv", 5, "116u06", "Baby Polar Bear Learns to Walk", 6037, 24961, 363),
        ("space.csv", 1, "13ge86", "Some things that NASA has done for us - courtesy of Penny4NASA", 3598, 7237, 247),  # noqa: E501
        ("space.csv", 7, "10v0ad", "A little perspective - Horizons", 3317, 6048, 197),
    ]  # fmt: skip
    for path, number, identity, title, score, up_count, comment_count in expected:
        row = said(items[(path, number)], f"reddit:post:{identity}")
        numbers = (row.meta["score"], row.meta["up_count"], row.meta["comment_count"])
        assert (row.title, *numbers) == (title, score, up_count, comment_count)
    assert links(items[("space.csv", 0)]) == {
        "reddit:subreddit:space -member-> reddit:post:1e6lc1",
        "reddit:post:1e6lc1 -linked-> web:page:http://www.cbc.ca/news/technology/story/2013/05/12/hadfield-iss-returns-earth.html",
    }
    assert links(items[("aww.csv", 0)]) == {
        "reddit:subreddit:aww -member-> reddit:post:zzg3k",
        "reddit:post:zzg3k -contains 0-> web:media:http://i.imgur.com/w3FzB.jpg",
    }
    edited = said(items[("space.csv", 38)], "reddit:post:xq555")
    assert edited.meta["is_edited"] is True
    assert edited.update_time == datetime(2012, 8, 6, 5, 32, 49, tzinfo=UTC)
    assert links(items[("space.csv", 38)]) == {"reddit:subreddit:space -member-> reddit:post:xq555"}
