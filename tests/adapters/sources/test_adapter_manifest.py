"""Plain manifests: hand-written tables with their quirks, and the samples, read by eye."""

from __future__ import annotations

from pathlib import Path

import pytest
import reading_checks as checks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.sources.manifest_file import ADAPTERS

MANIFEST = ADAPTERS[0]

CSV = """\ufeffID;Image Path;Page URL;Title;Views;Date;Lat;Lon
7;pics/a.jpg;http://p.test/7;"A ""quoted""
title";1,234;2020-02-03;48.5;-2
8;gone.jpg;;Eight;;;;
9;../../etc/passwd.jpg;;Nine;x;never;;
10;a;b;c;d;e;f;g;h
"""


def test_a_table_about_files(tmp_path: Path):
    files = {"list.csv": CSV, "pics/a.jpg": b"A"}
    records, problems = checks.read(MANIFEST, checks.write(tmp_path, files))
    first, gone, outside = records
    checks.assert_says(
        first, node="file pics/a.jpg", is_root=True, source="labelled_file", view=1234,
        title='A "quoted"\ntitle', time="2020-02-03T00:00:00+00:00", item_id="7",
        page_url="http://p.test/7", latitude=48.5, longitude=-2.0, layout="manifest",
    )  # fmt: skip
    assert checks.links_of(first) == [
        ("web:page:http://p.test/7", "file pics/a.jpg", "contains", None)
    ]
    assert gone.subject.startswith("file:media:") and gone.subject.endswith("/gone.jpg")
    assert outside.subject.endswith("/../../etc/passwd.jpg")
    checks.assert_says(outside, view=None, time=None, title="Nine")
    assert [(p.number, p.reason) for p in problems] == [(3, "9 fields where the header has 8")]


def test_lines_lists_and_documents(tmp_path: Path):
    files = {
        "a.jsonl": '{"url": "http://m.test/x.jpg", "caption": "c"}\n{bad\n[1]\n'
        '{"id": 9007199254740993}\n',
        "b.json": '{"page": 1, "results": [{"image": "http://m.test/y.png"}, 3, '
        '{"href": "http://p.test"}]}',
        "c.json": '{"name": "alone", "one": {"deep": [1]}, "two": 2, "three": 3}',
        "d.json": "[]",
        "e.ndjson": '["url", "title"]\n["http://p.test/page", "T"]\n',
        "f.csv": "",
        "g.tsv": "file\tlabel\nx.png\tcat\n".encode("utf-16"),
        "h.json": '{"items": [{"a": 1}, {"a": 2}]}',
    }
    records, problems = checks.read(MANIFEST, checks.write(tmp_path, files))
    found = checks.by_place(records)
    assert found["a.jsonl", 0].subject == "web:media:http://m.test/x.jpg"
    assert found["a.jsonl", 3].subject.startswith("file:post:sha256:")
    checks.assert_says(found["a.jsonl", 3], item_id="9007199254740993")
    # A list with a number in it is no list of rows: the document is one row, and its own node.
    checks.assert_says(found["b.json", -1], node="file b.json")
    checks.assert_says(found["c.json", -1], node="file c.json", title="alone")
    page = found["e.ndjson", 1]
    assert checks.links_of(page) == [(page.subject, "web:page:http://p.test/page", "linked", None)]
    checks.assert_says(found["g.tsv", 0], label="cat", file_name="x.png")
    assert {n for path, n in found if path == "h.json"} == {0, 1}
    assert [(p.path, p.number) for p in problems] == [
        ("a.jsonl", 1), ("a.jsonl", 2), ("d.json", -1), ("f.csv", -1),
    ]  # fmt: skip


def test_the_same_row_is_the_same_node_whatever_its_order(tmp_path: Path):
    files = {"a.jsonl": '{"x": 1, "y": 2}\n', "b.jsonl": '{"y": 2, "x": 1}\n{"x": 1, "y": 3}\n'}
    first, same, other = checks.read(MANIFEST, checks.write(tmp_path, files))[0]
    assert first.subject == same.subject != other.subject


# Number, key_id, country, time, strokes: three files, read by eye.
DRAWINGS = {
    "raw/circle.ndjson": [
        (0, "5266005389475840", "US", "2017-01-25T03:11:35.550710+00:00", 1),
        (1, "5064695922819072", "GE", "2017-03-18T17:53:01.707580+00:00", 1),
        (2, "4737095195164672", "AU", "2017-03-01T07:49:16.029440+00:00", 1),
        (3, "4697059695263744", "FI", "2017-01-31T15:12:08.649570+00:00", 1),
    ],
    "simplified/circle.ndjson": [
        (0, "5266005389475840", "US", "2017-01-25T03:11:35.550710+00:00", 1),
        (1, "5064695922819072", "GE", "2017-03-18T17:53:01.707580+00:00", 1),
    ],
    "simplified/cat.ndjson": [
        (0, "5201136883597312", "VE", "2017-03-02T23:25:10.074530+00:00", 9),
        (1, "4647694628814848", "BR", "2017-03-26T18:43:54.780830+00:00", 10),
        (2, "6411036099870720", "RO", "2017-03-18T09:36:08.290570+00:00", 15),
        (3, "6196755135725568", "US", "2017-01-25T16:05:51.963360+00:00", 13),
    ],
}


def test_drawings():
    root = checks.sample("quickdraw")
    records, problems = checks.read(MANIFEST, root)
    found = checks.by_place(records)
    for path, drawings in DRAWINGS.items():
        word = path.rpartition("/")[2].partition(".")[0]
        for number, key, country, time, strokes in drawings:
            checks.assert_says(
                found[path, number], node=f"quickdraw:media:{key}", title=word, label=word,
                country=country, time=time, stroke_count=strokes, recognized=True, item_id=key,
            )  # fmt: skip
            assert found[path, number].complete["word"] == word
    assert not problems and len(checks.counts(records)) == 19
    assert set(checks.counts(records).values()) == {15}


def test_generic_collections():
    records, problems = checks.read(MANIFEST, checks.sample("json-collections"))
    found = checks.by_place(records)
    checks.assert_says(found["vega/cars.json", 0], title="chevrolet chevelle malibu")
    checks.assert_says(found["vega/movies.json", 1], title="First Love, Last Rites")
    checks.assert_says(
        found["vega/us-state-capitals.json", 1], latitude=58.3020694, longitude=-134.4104388
    )
    bulbasaur = found["quicktype/samples/pokedex.json", 0]
    checks.assert_says(
        bulbasaur, node="web:media:http://www.serebii.net/pokemongo/pokemon/001.png", item_id="1",
        title="Bulbasaur",
    )  # fmt: skip
    phone = found["simdjson/amazon_cellphones.ndjson", 2]
    picture = (
        "https://m.media-amazon.com/images/I/419WBAVDARL._AC_UY218_SEARCH213888_FMwebp_QL75_.jpg"
    )
    checks.assert_says(
        phone, node=f"web:media:{picture}", title="Motorola I265 phone", item_id="B0009N5L7K",
        page_url="https://www.amazon.com/Motorola-i265-I265-phone/dp/B0009N5L7K",
    )  # fmt: skip
    quake = found["vega/earthquakes.geojson", 0]
    checks.assert_says(
        quake, time="2018-02-07T01:26:13.840000+00:00",
        page_url="https://earthquake.usgs.gov/earthquakes/eventpage/ci37868143",
    )  # fmt: skip
    assert not problems
    counted = {path.partition("/")[2]: count for path, count in checks.counts(records).items()}
    assert counted == {
        "misc/32431.json": 15, "misc/337ed.json": 50, "misc/e8b04.json": 25,
        "priority/combinations1.json": 1, "priority/nst-test-suite.json": 1,
        "priority/recursive.json": 1, "priority/unions.json": 1, "samples/bitcoin-block.json": 1,
        "samples/github-events.json": 30, "samples/kitchen-sink.json": 1,
        "samples/pokedex.json": 151, "samples/spotify-album.json": 1,
        "samples/us-avg-temperatures.json": 1, "samples/us-senators.json": 100,
        "amazon_cellphones.ndjson": 792, "apache_builds.json": 875, "github_events.json": 30,
        "google_maps_api_response.json": 10, "barley.json": 120, "cars.json": 406,
        "countries.json": 620, "earthquakes.geojson": 200, "flare.json": 252,
        "gapminder.json": 682, "londonBoroughs.json": 1, "miserables.json": 254,
        "movies.json": 400, "penguins.json": 344, "us-state-capitals.json": 50,
    }  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_manifests(seed: int, tmp_path_factory: pytest.TempPathFactory):
    source = tmp_path_factory.mktemp("source")
    drawing = '{"word": "w", "key_id": "1", "drawing": [[[1], [2]]], "timestamp": "2017-01-25"}\n'
    checks.write(
        source,
        {"a.csv": CSV, "b.ndjson": drawing * 3,
         "c.json": '[{"url": "http://a.test/b.jpg", "tags": ["x"]}]',
         "d.tsv": "file\tviews\na.jpg\t1\n", "a.jpg": b"A"},
    )  # fmt: skip
    checks.survives(MANIFEST, source, tmp_path_factory.mktemp("target"), seed)
