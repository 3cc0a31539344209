"""Reddit posts as CSV: made-up tables, then samples checked by hand."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from social_records import check_adapter, counts, links, read_set, said, samples, write_files

from adapters.records.folder import ScrapeFolder
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
