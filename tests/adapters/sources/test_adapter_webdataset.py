"""Webdataset shards: hand-written and hostile ones, and the samples, read by eye."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
import reading_checks as checks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.webdataset import ADAPTERS, shard

WEBDATASET = ADAPTERS[0]


def tar(members: list[tuple[str, bytes]], *others: tarfile.TarInfo) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
        for info in others:
            file.addfile(info)
    return packed.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_members_of_a_key_are_one_record(tmp_path: Path):
    about = {"url": "http://a.test/1.jpg", "caption": "from json", "width": 5, "key": "1",
             "similarity": 0.25, "status": "success", "sha256": "ff"}  # fmt: skip
    failed = {"url": "http://a.test/2.jpg", "key": "2", "status": "failed_to_download",
              "error_message": "404", "caption": "gone"}  # fmt: skip
    data = tar(
        [
            ("a/1.jpg", b"J1"), ("a/1.seg.png", b"P1"), ("a/1.json", json.dumps(about).encode()),
            ("b/1.jpg", b"J2"), ("b/1.txt", b"a stone\n"), ("b/1.cls", b"3"), ("b/1.npy", b"N"),
            ("2.json", json.dumps(failed).encode()), ("3.txt", b"only text"), ("4.bin", b"?"),
            ("5.jpg", b"J5"), ("5.json", b"{broken"), ("a/1.txt", b"late caption"),
        ]
    )  # fmt: skip
    out = tmp_path / "out"
    root = checks.write(tmp_path / "in", {"0.tar": data, "1.tgz": gzip.compress(data)})
    records, problems = checks.read(WEBDATASET, root, str(out))
    assert checks.counts(records) == {"0.tar": 4, "1.tgz": 4}
    one, other, gone, text = records[:4]
    picture = "file extracted:00000/00000000.jpg"
    checks.assert_says(
        one, node=picture, is_root=True, title="late caption", item_id="a/1", width=5,
        similarity=0.25, url="http://a.test/1.jpg", status="success", declared_sha256="ff",
        layout="webdataset",
    )  # fmt: skip
    assert checks.links_of(one) == [
        (picture, "file extracted:00000/00000001.png", "attachment", None)
    ]
    assert one.complete["json"] == about
    checks.assert_says(other, title="a stone", label="3", item_id="b/1", members=["npy"])
    checks.assert_says(
        gone,
        node="web:media:http://a.test/2.jpg",
        title="gone",
        status="failed_to_download",
        error="404",
    )
    assert text.observations[0].node.path.endswith(".txt")
    assert [p.reason[:20] for p in problems if p.path == "0.tar"] == [
        "sample '4' has only ", "no valid JSON: Expec",
    ]  # fmt: skip
    assert (out / "00000" / "00000000.jpg").read_bytes() == b"J1"


def test_names_and_kinds_of_members_are_not_trusted(tmp_path: Path):
    data = tar(
        [("../../evil.jpg", b"E"), ("/abs.jpg", b"A"), ("x\0y.jpg", b"N"), (".hidden.jpg", b"H")],
        special("link.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.jpg", tarfile.LNKTYPE, "../../evil.jpg"),
        special("pipe.jpg", tarfile.FIFOTYPE),
        special("disk.jpg", tarfile.BLKTYPE),
        special("folder", tarfile.DIRTYPE),
    )
    root = checks.write(tmp_path / "in", {"0.tar": data})
    records, problems = checks.read(WEBDATASET, root, str(tmp_path / "out"))
    assert len(records) == 3
    assert all(r.subject.path.startswith("extracted:00000/") for r in records)
    # A name ends at its first NUL, which leaves this one without an extension.
    assert problems.pop().reason == "sample 'x' has only members of unknown kind: 'x'"
    assert [p.reason for p in problems] == [
        "'link.jpg' is a link, which is not read out of a shard",
        "'hard.jpg' is a link, which is not read out of a shard",
        "'pipe.jpg' is no file, which is not read out of a shard",
        "'disk.jpg' is no file, which is not read out of a shard",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def test_damaged_shards_keep_what_was_read(tmp_path: Path):
    whole = tar([("1.jpg", b"J" * 600), ("2.jpg", b"K" * 600)])
    header = tarfile.TarInfo("9.jpg")
    header.size = 1 << 40
    pax = special("p", tarfile.XHDTYPE)
    pax.size = 1 << 33
    files = {
        "cut.tar": whole[:1900],
        "cut.tgz": gzip.compress(whole)[:-30],
        "none.tar": b"this is no tar at all" * 50,
        "empty.tar": b"",
        "huge.tar": whole[:1536] + header.tobuf() + b"x" * 512,
        "pax.tar": whole[:1536] + pax.tobuf(),
    }
    records, problems = checks.read(WEBDATASET, checks.write(tmp_path, files))
    assert checks.counts(records).keys() >= {"cut.tar", "huge.tar", "pax.tar"}
    assert {p.path for p in problems} == files.keys()


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard, "UNPACKED_FREE_BYTES", 1 << 16)
    sparse = special("s.jpg", tarfile.GNUTYPE_SPARSE)
    files = {
        "a.tgz": gzip.compress(tar([("1.jpg", b"ok"), ("2.jpg", b"\0" * (16 << 20))])),
        "b.tar": tar([("1.jpg", b"ok")], sparse),
    }
    records, problems = checks.read(WEBDATASET, checks.write(tmp_path, files))
    assert checks.counts(records)["b.tar"] == 1
    assert any("200 times" in p.reason for p in problems if p.path == "a.tgz")
    assert [p.reason for p in problems if p.path == "b.tar"] == [
        "'s.jpg' is a sparse file, which is not read out of a shard"
    ]


def test_loose_samples_and_lists(tmp_path: Path):
    about = {"url": "http://a.test/9.jpg", "key": "9", "status": "success", "caption": "c"}
    files = {
        "00000/9.jpg": b"J", "00000/9.txt": "c", "00000/9.json": json.dumps(about),
        "00000_stats.json": '{"count": 1}', "list.txt": "https://a.test/x.png\n\nhttps://a.test/y\n",
        "notes.txt": "just words", "p.parquet": b"PAR1", "else.json": "{}",
    }  # fmt: skip
    records, problems = checks.read(WEBDATASET, checks.write(tmp_path, files))
    assert [(r.path, r.number, str(getattr(r.subject, "path", r.subject))) for r in records] == [
        ("00000/9.json", -1, "00000/9.jpg"),
        ("list.txt", 0, "web:media:https://a.test/x.png"),
        ("list.txt", 2, "web:media:https://a.test/y"),
    ]
    assert sorted(p.path for p in problems) == ["else.json", "p.parquet"]


# The label of every sample of sample.tgz is what `tar xO` prints of its .cls member.
DIGITS = dict(zip(range(10, 20), "0690159734", strict=True))


def test_samples_say_what_a_person_reads_in_them():
    root = checks.sample("webdataset")
    records, problems = checks.read(WEBDATASET, root)
    found = checks.by_place(records)
    folder = ScrapeFolder.of(root)
    list(WEBDATASET.read(folder))
    for number, key in enumerate(DIGITS):
        checks.assert_says(
            found["webdataset/sample.tgz", number],
            item_id=str(key), label=DIGITS[key], is_root=True, title=DIGITS[key],
        )  # fmt: skip
        assert found["webdataset/sample.tgz", number].subject.path.endswith(".png")
    first = folder.extracted[found["webdataset/sample.tgz", 0].subject.path]
    assert (first.size_bytes, first.key) == (
        306,
        "24ae4056b797e805c6ad6fa04502664f6529f9f6c15f8fa4e674c23ee9cf94cb",
    )
    # The same picture in two shards is the same bytes.
    same = {
        folder.extracted[found[f"clip-retrieval/image{n}.tar", 0].subject.path].key for n in (1, 3)
    }
    assert same == {"beea717fb5569319864dca6154a44b0553dc0c62d71fc43270e7269b18b493b6"}
    keys = [found["clip-retrieval/image1.tar", n].observations[0].meta["item_id"] for n in range(4)]
    assert keys == ["123_456", "208_495", "321_421", "389_535"]
    address = "https://blueseatblogs.com/wp-content/uploads/2016/07/Untitled-copy-4.jpg"
    listed = found["img2dataset/test_files/unique_images.txt", 2]
    checks.assert_says(listed, node=f"web:media:{address}", url=address)
    assert checks.counts(records) == {
        "clip-retrieval/image1.tar": 4, "clip-retrieval/image3.tar": 2,
        "webdataset/sample.tgz": 90, "img2dataset/test_files/unique_images.txt": 54,
        "img2dataset/blur_test_files/test_bbox.parquet": 1,
        "img2dataset/test_files/sample_image.parquet": 2,
    }  # fmt: skip
    # Hashes of a test, which are no sample.
    assert [p.path.rpartition("/")[2] for p in problems] == ["hashes.json"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_mutated_shards(seed: int, tmp_path_factory: pytest.TempPathFactory):
    source = tmp_path_factory.mktemp("source")
    data = tar(
        [("a.jpg", b"J" * 700), ("a.json", b'{"caption": "x", "width": 1}'), ("b.txt", b"t")]
    )
    long = tar([("n" * 300 + ".jpg", b"J"), ("é" * 200 + ".png", hashlib.sha256(data).digest())])
    checks.write(
        source, {"a.tar": data, "b.tgz": gzip.compress(data), "c.tar": long, "l.txt": "http://a/\n"}
    )
    checks.survives(WEBDATASET, source, tmp_path_factory.mktemp("target"), seed)
