"""Every adapter against hostile folders: never a crash, never a file that is lost.

The short form runs in every test run; `--adapter-cases 10000` is the long one, and a failure prints
the seed that `--adapter-seed` replays.
"""

from __future__ import annotations

import os
import random
import tempfile
import zlib
from pathlib import Path

import pytest
from command import ROOT
from conformance import check_adapter, copy_mutated, mutate
from sources.cases import case_names, expected_of, folder_of

from adapters.records.folder import ScrapeFolder
from adapters.sources.registry import MODULES, adapter_named, sniff

SHARED = os.path.join(ROOT, "..", "shared", "samples")
OWN = os.path.join(ROOT, "samples")
FILES_PER_CASE_MAX = 3
FILE_BYTES_MAX = 200_000

# The folders that each adapter is for; the surest adapter must be the right one.
SETS = {
    "gallery-dl": ["gallery-dl-instagram", "gallery-dl-replayed"],
    "yt-dlp": ["yt-dlp-info-json"],
    "twitter-v1": ["twitter-api-v1"],
    "twitter-v2": ["twitter-api-v2"],
    "twitter-graphql": ["twitter-graphql"],
    "twitter-archive": ["twitter-archive"],
    "instagram-graph": ["instagram-graph"],
    "facebook-graph": ["facebook-graph"],
    "tiktok-scraper": ["tiktok-scraper"],
    "reddit": ["reddit-listing"],
    "reddit-csv": ["reddit-top-csv"],
    "mastodon": ["mastodon-api"],
    "activitypub": ["activitypub"],
    "bluesky": ["bluesky-api"],
    "telegram": ["telegram-desktop-export"],
    "tumblr": ["tumblr-docs"],
    "pixiv": ["pixiv-api"],
    "booru": ["booru-pages"],
    "flickr": ["flickr-api"],
    "wikimedia-commons": ["wikimedia-commons-api"],
    "youtube-data": ["youtube-data-api"],
    # Seventeen providers of pictures, and a page of Flickr that its own adapter reads.
    "mixed": ["museum-and-stock-apis"],
    "pyvideo": ["pyvideo"],
    "feed": ["feeds"],
    "warc": ["warc"],
    "coco": ["coco"],
    "voc": ["voc-chess"],
    "cvat": ["cvat"],
    "imagefolder": ["hf-imagefolder"],
    "webdataset": ["webdataset"],
    "manifest": ["quickdraw"],
    "json": ["json-collections"],
    "plain-folder": ["images-exif", "images-photos", "images-odd", "audio", "video", "documents"],
}


def folders_of(name: str) -> list[str]:
    """Return the seed folders of an adapter: samples where they are, and the repository's own."""
    shared = [os.path.join(SHARED, folder) for folder in SETS.get(name, [])]
    found = [folder for folder in shared if os.path.isdir(folder)]
    cases = [case for case in case_names() if expected_of(case)[0]["adapter"] == name]
    return [*found, *map(folder_of, cases)] or [
        os.path.join(OWN, "openclipart"),
        os.path.join(OWN, "pyvideo"),
    ]


@pytest.mark.parametrize("name", MODULES)
def test_the_whole_sample_set(name: str):
    adapter = adapter_named(name)
    assert adapter.name == name
    assert adapter.tables
    for folder in folders_of(name):
        check_adapter(adapter, folder)


@pytest.mark.parametrize(
    ("name", "folder"),
    # Nobody is surer of JSON in general than who knows what it is.
    [(name, folder) for name, folders in SETS.items() for folder in folders if name != "json"],
)
def test_the_right_adapter_is_the_surest(name: str, folder: str):
    path = os.path.join(SHARED, folder)
    if not os.path.isdir(path):
        pytest.skip("the shared samples are not here")
    answers = sniff(ScrapeFolder.of(path))
    assert answers[0][0] == name, answers[:3]


@pytest.mark.parametrize("folder", ["openclipart", "pyvideo"])
def test_the_samples_of_the_repository(folder: str):
    name = {"openclipart": "gallery-dl", "pyvideo": "pyvideo"}[folder]
    assert sniff(ScrapeFolder.of(os.path.join(OWN, folder)))[0][0] == name
    records, problems = check_adapter(adapter_named(name), os.path.join(OWN, folder))
    assert problems == []
    assert len(records) == {"openclipart": 128, "pyvideo": 12}[folder]


@pytest.mark.parametrize("name", MODULES)
def test_mutated_folders(name: str, request: pytest.FixtureRequest):
    cases = request.config.getoption("--adapter-cases")
    first_seed = int(request.config.getoption("--adapter-seed") or zlib.crc32(name.encode()))
    adapter = adapter_named(name)
    folders = folders_of(name)
    for seed in range(first_seed, first_seed + cases):
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory(prefix="ds-case-") as root:
            _make_case(chance, chance.choice(folders), root)
            try:
                check_adapter(adapter, root)
            except BaseException:
                print(
                    f"replay with --adapter-seed {seed} --adapter-cases 1 -k 'mutated and {name}'"
                )
                raise


def _make_case(chance: random.Random, source: str, root: str) -> None:
    """Copy a few files of a folder, most of them mutated, and sometimes one under another name."""
    names = sorted(
        os.path.relpath(os.path.join(folder, file), source)
        for folder, _folders, files in os.walk(source)
        for file in files
    )
    small = [name for name in names if os.path.getsize(os.path.join(source, name)) < FILE_BYTES_MAX]
    for name in chance.sample(small or names, min(len(small or names), FILES_PER_CASE_MAX)):
        data = Path(source, name).read_bytes()
        for _ in range(chance.choice([0, 1, 1, 2, 5])):
            data = mutate(data, chance.randrange(2**32))
        if chance.random() < 0.1:
            name = chance.choice(["a\udcff.json", "x" * 200 + ".json", "-rf.json", "n\nl.jsonl"])
        place = Path(root, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        os.utime(place, ns=(1_700_000_000_000_000_000,) * 2)


@pytest.mark.parametrize("name", MODULES)
def test_hostile_folders_of_no_format(name: str, tmp_path: Path):
    """Files that look like a format by their names and are something else."""
    hostile = {
        "deep.json": b"[" * 100_000,
        "deep2.json": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "lines.json": b'{"id": 1}\n{"id": 2}\n',
        "empty.json": b"",
        "null.json": b"null",
        "bom16.json": '{"id": "ö"}'.encode("utf-16"),
        "latin.json": b'{"title": "\xe4\xf6"}',
        "numbers.json": b'{"id": 123456789012345678901234567890, "n": 1e400, "m": -0}',
        "names.jsonl": b'{"file_name": "../../../etc/passwd", "url": "file:///etc/passwd"}\n' * 3,
        "bomb.xml": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
        + b"]><l>&j;</l>",
        "sql.csv": b'id,url,title\n1,\'); DROP TABLE node; --,"a\nb"\n',
        "wide.csv": b",".join(b"c%d" % n for n in range(5_000)) + b"\n" + b"x," * 20_000 + b"\n",
        "fake.tar": b"\0" * 10_240,
        "fake.zip": b"PK\x03\x04" + b"\xff" * 500,
        "fake.warc.gz": b"\x1f\x8b\x08\x00" + b"\0" * 50,
        "picture.png": b"\x89PNG\r\n\x1a\n" + b"\xff" * 64,
        "rtl\u202e\U0001f600.json": '{"title": "\u202e\U0001f600\\u0000\\ud800"}'.encode(),
        "link.info.json": b'{"id": {"a": []}, "title": 5, "entries": [null, 3, {}]}',
    }
    for file, data in hostile.items():
        (tmp_path / file).write_bytes(data)
    check_adapter(adapter_named(name), str(tmp_path))


def test_a_mutated_copy_of_everything_of_the_repository(tmp_path: Path):
    """One scrape of many files, a third of them broken: all others are still understood."""
    target = copy_mutated(os.path.join(OWN, "openclipart"), str(tmp_path / "copy"), 1)
    records, _problems = check_adapter(adapter_named("gallery-dl"), target)
    assert len(records) >= 60
