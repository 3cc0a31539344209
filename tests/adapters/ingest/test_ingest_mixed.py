"""A folder of several formats is one batch, and what nobody read is read by who is named."""

from __future__ import annotations

import json

from ingest_harness import House
from restore_checks import assert_same, cold_copies, only
from sources.cases import folder_of
from store_harness import write_files

from adapters.cold_storage.restore import restore
from adapters.ingest.inbox import choose_adapter
from adapters.ingest.ingest import ingest
from adapters.ingest.replay import replay
from adapters.records.folder import ScrapeFolder
from adapters.sources.mixed import divide
from adapters.work.batch_work import Signal

UNREAD = {"a.json": b'{"town": "Nice"}', "b.json": b'{"town": "Rome", "visits": [1, 2]}'}
TWEET = {
    "id_str": "5",
    "id": 5,
    "created_at": "Sat Dec 10 10:00:00 +0000 2022",
    "full_text": "Hello",
    "user": {"id_str": "7", "screen_name": "ann"},
    "retweet_count": 1,
}


def tables(house: House) -> set[str]:
    query = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'meta\\_%'"
    return {row[0] for row in house.rows(query)}


def open_paths(house: House) -> set[str]:
    return {row.path for row in house.database.quarantine.of_batches("summer", open_only=True)}


def test_each_part_is_read_by_its_adapter_and_the_rest_by_who_is_named(house, houses, tmp_path):
    folder = folder_of("mixed/downloads")
    adapter = choose_adapter(folder, "auto")
    assert adapter == "mixed"
    signal = Signal(folder, "summer", adapter, "tester")
    report = ingest(house.config_path, signal, database=house.database)
    assert report.virtual_nodes["twitter:post"] == report.virtual_nodes["youtube:post"] == 1
    # Only what something was found for has a table.
    found = {"telegram", "twitter", "video_site", "web", "file"}
    assert tables(house) == {f"meta_{name}" for name in found}
    rows = list(house.database.quarantine.of_batches("summer"))
    assert [row.path for row in rows] == ["holiday/places.json"]
    assert "drystone quarantine replay BATCH --source manifest" in rows[0].reason
    # It is a node as any file, so nothing waits for a person.
    titled = "SELECT count(*) FROM meta_file WHERE file_name = 'places.json'"
    assert house.rows(titled) == [(1,)]
    cold_copies(house, tmp_path)
    again = replay(house.config_path, "summer", None)
    assert (again.understood, again.left) == (0, 1)
    asked = replay(house.config_path, "summer", None, source="manifest")
    assert (asked.before, asked.understood, asked.left) == (1, 1, 0)
    assert "meta_labelled_file" in tables(house)
    # Who was named once is asked again.
    assert replay(house.config_path, "summer", None).left == 0
    assert open_paths(house) == set()
    cold, other = cold_copies(house, tmp_path), houses()
    only(restore(other.config_path, [cold], other.database))
    assert_same(house, other, "summer")
    assert open_paths(other) == set()
    assert replay(other.config_path, "summer", None).left == 0


def test_documents_of_two_formats_in_one_folder(tmp_path):
    sidecar = {"category": "example", "subcategory": "user", "extension": "png", "filename": "1"}
    files = {
        "1.png": b"\x89PNG\r\n\x1a\n",
        "1.png.json": json.dumps(sidecar | {"id": 1}).encode(),
        "tweet.json": json.dumps(TWEET).encode(),
        "other/page.json": json.dumps(TWEET).encode(),
        **{f"unknown/{name}": data for name, data in UNREAD.items()},
    }
    root = write_files(str(tmp_path / "scrape"), files)
    division = divide(ScrapeFolder.of(root))
    assert division.documents == {
        "gallery-dl": ["1.png.json"],
        "twitter-v1": ["tweet.json", "other/page.json"],
    }
    # Media are seen by all of their folder, and by nobody of another.
    assert "1.png" in division.paths("gallery-dl") and "1.png" in division.paths("twitter-v1")


def test_a_folder_of_one_format_is_of_its_adapter(tmp_path):
    pages = {f"{name}/page.json": json.dumps(TWEET | {"id_str": name}).encode() for name in "123"}
    root = write_files(str(tmp_path / "scrape"), pages)
    assert choose_adapter(root, "auto") == "twitter-v1"
