"""Openverse's tables: layouts without a header, broken rows; twelve sample rows read by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random

from api_checks import counts, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.openverse_tsv import ADAPTERS, layout_of

ADAPTER = ADAPTERS[0]
N = "\\N"
HEAD = [
    "id-1",
    "wall.test/1",
    "https://wall.test/img/photo01.jpg",
    "https://wall.test/t/photo01t.jpg",
]
TAGS = json.dumps([{"name": "Stone", "provider": "x"}, {"name": "Dry Wall"}])
MIDDLE = ["by-SA", "2.0", "Ann B", "wall.test/ann", "A &amp; wall",
          json.dumps({"pub_date": "1557512425", "description": "d"}), TAGS]  # fmt: skip
END = ["f", "wallsite", "wallsite"]
FULL = [*HEAD, "10", "20", "300", *MIDDLE, *END]


def line(*cells):
    return "\t".join(cells) + "\n"


FILES = {
    "a.tsv": line(*FULL),
    "b.tsv": line(*HEAD, "10", N, *MIDDLE, *END) + line(*HEAD, *MIDDLE, *END),
    "c.tsv": line(*HEAD, N, N, *MIDDLE, N, *END, "provider_api", N, N),
}


def test_columns_with_sizes(tmp_path):
    (record,), problems = read(ADAPTER, write(tmp_path, {"a.tsv": line(*FULL)}))
    assert problems == [] and (record.number, record.complete) == (0, "\t".join(FULL))
    assert edges(record) == [
        "wallsite:username:ann b -authored-> wallsite:post:id-1",
        "wallsite:tag:stone -tagged-> wallsite:post:id-1",
        "wallsite:tag:dry wall -tagged-> wallsite:post:id-1",
        "wallsite:post:id-1 -contains(0)-> wallsite:media:id-1",
    ]
    medium = said(record, "wallsite:media:id-1")
    assert medium.is_root and medium.title == "A & wall"
    assert medium.update_time == datetime(2019, 5, 10, 18, 20, 25, tzinfo=UTC)
    meta = medium.meta
    assert (meta["width"], meta["height"], meta["size_bytes"]) == (10, 20, 300)
    assert (meta["license"], meta["license_version"]) == ("by-sa", "2.0")
    # The scheme that the table leaves out is put back.
    assert meta["landing_url"] == "https://wall.test/1" and meta["is_watermarked"] is False
    assert said(record, "wallsite:username:ann b").meta["creator_url"] == "https://wall.test/ann"


def test_other_layouts_say_the_same(tmp_path):
    rows = {
        "1.tsv": line(*HEAD, "10", "20", *MIDDLE, *END),
        "2.tsv": line(*HEAD, *MIDDLE, *END),
        "3.tsv": line(*HEAD, "10", "20", *MIDDLE, "photo", *END, "provider_api", "jpg", "300"),
        "4.tsv": line(*FULL, "provider_api"),
        "5.tsv": line(*HEAD, *MIDDLE, "music", *END, "provider_api", "90500", *[N] * 9),
        "6.tsv": line("u-1", "2020-01-01", "2020-01-02", "provider_api", N, *HEAD, "10", "20",
                      "300",
                      "by-sa", N, *MIDDLE[1:5], "wallsite", "wallsite"),
    }  # fmt: skip
    records, problems = read(ADAPTER, write(tmp_path, rows))
    assert problems == [] and len(records) == 6
    media = [said(record, "wallsite:media:id-1").meta for record in records]
    assert [meta["license"] for meta in media] == ["by-sa"] * 6
    assert [meta.get("width") for meta in media] == [10, None, 10, 10, None, 10]
    assert [meta.get("size_bytes") for meta in media] == [None, None, 300, 300, None, 300]
    assert media[2]["category"] == "photo" and media[2]["media_type"] == "jpg"
    assert media[4]["duration_s"] == 90.5 and media[4]["category"] == "music"


def test_rows_of_another_width_are_quarantined_one_by_one(tmp_path):
    text = line(*FULL) + line(*FULL[:9]) + line(*FULL) + "\n" + line("x", *FULL[1:7], *["?"] * 10)
    records, problems = read(ADAPTER, write(tmp_path, {"a.tsv": text}))
    # The row that is there twice says the same again, which is no second observation.
    assert [record.number for record in records] == [0, 2]
    assert records[0].observations == records[1].observations
    assert [problem.number for problem in problems] == [1, 3]
    assert problems[0].reason.startswith("row 2: 9 columns; known are 14, ")
    assert problems[1].reason.startswith("row 4: 17 columns; what is in them")


def test_files_providers_and_nulls(tmp_path):
    flickr = [
        "470",
        "www.flickr.com/photos/1@N02/470",
        "https://live.staticflickr.com/1/470_ab_b.jpg",
        N,
    ]
    met = ["39-1", "https://m.test/search/39", "https://m.test/LC-55_002.jpg", N]
    nothing = ["9", N, N, N]
    rows = [
        line(*flickr, N, N, N, "by", "2.0", "Ann", "www.flickr.com/photos/1@N02", N, N, N, "f",
             "flickr", "flickr"),
        line(*met, N, N, N, "CC0", "1.0", N, N, "t", "{broken", "[broken", "f", "met", "met"),
        line(*nothing, N, N, N, "cc0", "1.0", N, N, N, N, N, "f", "thing 1", "x"),
    ]  # fmt: skip
    root = write(tmp_path, {"t.tsv": "".join(rows), "d/470_ab_b.jpg": b"1", "LC-55_002.jpg": b"2"})
    records, problems = read(ADAPTER, root)
    assert problems == []
    assert [edges(record) for record in records] == [
        ["flickr:user:1@N02 -authored-> flickr:post:470",
         "flickr:post:470 -contains(0)-> file d/470_ab_b.jpg"],
        # Several media of one object share its page.
        ["met:post:39 -contains(0)-> file LC-55_002.jpg"],
        ["thing_1:post:9 -contains(0)-> thing_1:media:9"],
    ]  # fmt: skip
    assert records[2].observations[0].title is None


def test_sniff_and_other_tables(tmp_path):
    assert layout_of(["a"] * 17) is None and layout_of([]) is None
    root = write(tmp_path, {"o.tsv": "a\tb\n1\t2\n", "x.txt": line(*FULL), "n.md": "# no\n"})
    records, problems = read(ADAPTER, root)
    # A table is known by its columns, whatever its name; one called .tsv is looked at anyway.
    assert [(r.path, r.number) for r in records] == [("x.txt", 0)]
    assert [(p.path, p.number) for p in problems] == [("o.tsv", 0), ("o.tsv", 1)]
    assert 0 < ADAPTER.sniff(ScrapeFolder.of(root)).confidence < 0.8
    assert (
        ADAPTER.sniff(ScrapeFolder.of(write(tmp_path / "1", {"a.tsv": line(*FULL)}))).confidence
        > 0.9
    )


def test_samples_by_hand():
    records, problems = read(ADAPTER, sample("openverse-tsv"))
    assert problems == []
    assert counts(records) == {
        "flickr_https.tsv": 250,
        "loader/test_resources/malformed_less_than_max_rows.tsv": 10,
        "loader/test_resources/none_missing.tsv": 10,
        "loader/test_resources/url_missing.tsv": 3,
        "metmuseum_1551822422.tsv": 12,
        "phylopic_1561673410.tsv": 60,
        "rawpixel_1562166170.tsv": 60,
        "test_resources/image_table_sample.tsv": 20,
        "thingiverse_1551879215.tsv": 33,
    }
    found = {(r.path.rpartition("/")[2].split("_")[0], r.number): r for r in records}
    airport = found["flickr", 0]
    assert edges(airport) == [
        "flickr:user:24917258@N05 -authored-> flickr:post:47030104294",
        "flickr:post:47030104294 -contains(0)-> flickr:media:47030104294",
    ]
    meta = said(airport, "flickr:media:47030104294").meta
    assert (meta["width"], meta["height"], meta["license"]) == (1024, 768, "by-nc-nd")
    assert meta["description"] == "Victoria International Airport"
    ship = found["flickr", 100]
    assert edges(ship, "authored", "tagged") == [
        "flickr:user:23240330@N03 -authored-> flickr:post:33942252138",
        "flickr:tag:estonia -tagged-> flickr:post:33942252138",
        "flickr:tag:halzuiderdam -tagged-> flickr:post:33942252138",
    ]
    # 250 rows, but only 41 photos.
    assert len({r.subject for r in records if r.path == "flickr_https.tsv"}) == 41
    assert edges(found["metmuseum", 0]) == [
        "met:username:thomas waterman wood -authored-> met:post:13345",
        "met:post:13345 -contains(0)-> met:media:13345",
    ]
    assert [edges(found["metmuseum", n], "contains") for n in (1, 2)] == [
        ["met:post:39665 -contains(0)-> met:media:39665"],
        ["met:post:39665 -contains(0)-> met:media:39665-1"],
    ]
    coyote = found["phylopic", 0]
    assert coyote.subject == "phylopic:post:3492f4ca-01f0-4609-a84f-084a84bf4e95"
    assert said(coyote).update_time == datetime(2019, 7, 1, 12, 5, 9, tzinfo=UTC)
    assert said(found["phylopic", 3]).title == "Hyaenidae Gray, 1821"
    magnolia = found["rawpixel", 0]
    assert said(magnolia).title.startswith("Magnolia Branch with Four Flowers (1910–1925)")
    assert len(edges(magnolia, "tagged")) == 42
    spinner = found["thingiverse", 0]
    assert edges(spinner, "authored", "contains") == [
        "thingiverse:username:walter hsiao -authored-> thingiverse:post:2823006",
        "thingiverse:post:2823006 -contains(0)-> thingiverse:media:7789139",
    ]
    gears = found["thingiverse", 3]
    assert (
        gears.subject == "thingiverse:post:23030"
        and said(gears).title == "Tiny Planetary Gears Set"
    )
    plant = found["image", 0]
    assert plant.subject == "smithsonian:post:ark:/65665/m3272d5bfa5716461fbf173e083887621c"
    assert said(plant).author == "smithsonian:username:susan gabriella stokes"
    no_address = found["url", 1]
    assert "media_url" not in said(no_address, "thingiverse:media:8033502").meta


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
