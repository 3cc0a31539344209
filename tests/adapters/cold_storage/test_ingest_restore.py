"""The way back: packages become batches again, whatever came over them in the meantime."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import resource
import shutil
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from command import drystone, json_lines
from ingest_harness import PNG, SCRAPE, House
from restore_checks import assert_same, cold_copies, large_files, only, refused, small_packages
from store_harness import write_files

from adapters.cold_storage.restore import restore
from adapters.cold_storage.restore_describe import RESTORED_FOLDER
from adapters.packages.package_read import verify_package
from adapters.records.errors import PackageError
from adapters.work.batch_work import BatchWork

# ---- Batches come back whole -----------------------------------------------------------------


def test_restore_into_an_empty_store_and_database(house: House, houses, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    other, cold = houses(), cold_copies(house, tmp_path)
    for repeated in (False, True):
        report = only(restore(other.config_path, [cold], other.database))
        assert (report.intents_repeated > 0) == repeated
    assert_same(house, other, "cats")
    (package,) = other.database.ingests.packages(waiting_only=False)
    assert package.confirmed_copy == os.path.realpath(os.path.join(cold, "cats-0001"))
    assert [batch.state for batch in other.database.ingests.batches()] == ["confirmed"]


def test_a_restore_that_was_killed_is_repeated(house: House, houses, tmp_path):
    """Killed after its bytes and after its batch was opened; its unpacked files are still there."""
    house.ingest(house.scrape("cats"), "cats")
    cold, other = cold_copies(house, tmp_path), houses()
    only(restore(other.config_path, [cold], None))
    size = sum(map(len, SCRAPE.values()))
    given = ("cats", "gallery-dl", "tester", RESTORED_FOLDER, len(SCRAPE), size)
    other.database.ingests.open(*given)
    write_files(os.path.join(other.area("3a"), ".restore", "cats"), {"cats/alone.png": b"left"})
    assert only(restore(other.config_path, [cold], other.database)).stored_new == 0
    assert_same(house, other, "cats")
    assert [batch.state for batch in other.database.ingests.batches()] == ["confirmed"]


def test_a_batch_of_several_packages_in_any_order(house: House, houses, tmp_path):
    small_packages(house)
    report = house.ingest(house.scrape("large", large_files(1)), "large", "plain-folder")
    assert len(report.packages) >= 4
    cold, other = cold_copies(house, tmp_path), houses()
    places = [os.path.join(cold, name) for name in report.packages]
    random.Random(7).shuffle(places)
    missing = refused(other, places[1:])
    assert f"missing: {places[0][-4:]}" in missing and "whole" in missing
    assert other.store.client.batches() == []
    # A folder may be called anything, and one package may be named twice.
    renamed = os.path.join(cold, "renamed by a person")
    os.rename(places[0], renamed)
    for order in ([renamed, *places[1:], places[1]], [*places[1:][::-1], renamed]):
        only(restore(other.config_path, order, other.database))
    assert_same(house, other, "large")
    assert len(other.database.ingests.packages(waiting_only=False)) == len(places)


def test_a_batch_that_fails_stops_no_other(house: House, houses, tmp_path):
    for name in ("a", "b", "c"):
        house.ingest(house.scrape(name, {"x.png": PNG + name.encode()}), name, "plain-folder")
    cold, other = cold_copies(house, tmp_path), houses()
    with open(os.path.join(cold, "b-0001", "objects.tar"), "r+b") as file:
        file.write(b"?")
    write_files(os.path.join(cold, "junk"), {"SHA256SUMS": b"", "manifest.jsonl": b"\xff{"})
    command = ("restore", cold, "--json", "--config", other.config_path)
    result = drystone(*command, expect=3)
    (reports,) = json_lines(result)
    errors = {report["batch"]: report["error"] for report in reports}
    assert errors["a"] is None and errors["c"] is None
    assert "damaged" in errors["b"] and "line 1" in errors[""]
    assert {one.batch for one in other.store.client.batches()} == {
        "a", "a.derived", "c", "c.derived",
    }  # fmt: skip
    alone = ("restore", os.path.join(cold, "b-0001"), "--config", other.config_path)
    result = drystone(*alone, expect=1)
    assert b"Traceback" not in result.stderr and b"damaged" in result.stderr


# ---- Names -----------------------------------------------------------------------------------


def test_a_name_of_another_batch_is_not_taken_over(house: House, houses, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    cold, other = cold_copies(house, tmp_path), houses()
    folder = write_files(str(tmp_path / "mine"), {"alone.png": b"another alone.png"})
    other.store.put(folder, "cats")
    assert "another batch cats: alone.png" in refused(other, [cold])
    assert "another batch cats: alone.png" in refused(other, [cold], database=False)
    assert {one.batch for one in other.store.client.batches()} == {"cats"}
    third = houses()
    third.database.ingests.open("cats", "gallery-dl", "tester", "/mine", len(SCRAPE), 7)
    third.database.ingests.set_state("cats", "confirmed", None)
    assert "which is not the one of these packages" in refused(third, [cold])
    size = sum(map(len, SCRAPE.values()))
    fourth = houses()
    fourth.database.ingests.open("cats", "gallery-dl", "tester", "/mine", len(SCRAPE), size)
    assert "not complete" in refused(fourth, [cold])
    assert third.store.client.batches() == fourth.store.client.batches() == []
    with BatchWork(house.area("3a"), "cats").locked():
        assert "another process" in refused(house, [cold])


# ---- What packages may say -------------------------------------------------------------------


def seal(package: str, *, without: str = "") -> None:
    """Make the sums fit what is in a package now, as somebody who forges one would."""
    names = [n for n in sorted(os.listdir(package)) if n not in ("SHA256SUMS", without)]
    with open(os.path.join(package, "SHA256SUMS"), "w", encoding="ascii") as sums:
        for name in names:
            with open(os.path.join(package, name), "rb") as file:
                sums.write(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")


def change_line(package: str, name: str, number: int, change: Callable[[Any], Any]) -> None:
    """Change one line of JSON of a package."""
    path = os.path.join(package, name)
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    lines[number] = json.dumps(change(json.loads(lines[number])))
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))


FORGED = {
    "leaves the folder": ("manifest.jsonl", 3, {"path": "../../alone.png"}),
    "absolute": ("manifest.jsonl", 3, {"path": "/etc/passwd"}),
    "no file name": ("manifest.jsonl", 3, {"path": "lone\ud800.png"}),
    "NUL": ("manifest.jsonl", 3, {"path": "nul\0.png"}),
    "a number": ("manifest.jsonl", 3, {"path": 7}),
    "a list": ("manifest.jsonl", 3, {"path": ["x"]}),
    "too long": ("manifest.jsonl", 3, {"path": "x" * 300}),
    "no key": ("manifest.jsonl", 3, {"key": "AB"}),
    "no size": ("manifest.jsonl", 3, {"size_bytes": -1}),
    "size as text": ("manifest.jsonl", 3, {"size_bytes": "7"}),
    "other size": ("manifest.jsonl", 3, {"size_bytes": 1}),
    "other set": ("manifest.jsonl", 3, {"set": "fixed"}),
    "no time": ("manifest.jsonl", 3, {"mtime_ns": 1 << 90}),
    "twice": ("manifest.jsonl", 3, {"path": "ann/one.png"}),
    "below a file": ("manifest.jsonl", 3, {"path": "ann/one.png/below"}),
    "head format": ("manifest.jsonl", 0, {"format": "tar"}),
    "head version": ("manifest.jsonl", 0, {"version": 2}),
    "head batch": ("manifest.jsonl", 0, {"batch": "../up"}),
    "head batch type": ("manifest.jsonl", 0, {"batch": 7}),
    "head entries": ("manifest.jsonl", 0, {"entries": 1}),
    "head user": ("manifest.jsonl", 0, {"user": ["x"]}),
    "head total": ("manifest.jsonl", 0, {"packages": 1 << 60}),
    "head number": ("manifest.jsonl", 0, {"package": 2}),
    "intent field": ("intents.jsonl", 0, {"colour": "red"}),
    "intent type": ("intents.jsonl", 0, {"edges": 7}),
    "intent batch": ("intents.jsonl", 0, {"ingest_batch": "dogs"}),
}


def test_a_forged_package_is_one_clear_error_and_stores_nothing(house: House, houses, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    whole, other = os.path.join(cold_copies(house, tmp_path), "cats-0001"), houses()
    for case, (name, number, values) in FORGED.items():
        package = str(tmp_path / case)
        shutil.copytree(whole, package)
        change_line(package, name, number, lambda line, values=values: {**line, **values})
        damaged = refused(other, [package])
        assert "damaged" in damaged or case.startswith("head"), case
        seal(package)
        said = refused(other, [package])
        assert said.isprintable() and "Traceback" not in said, case
        if case not in ("twice", "below a file", "head total", "head number", "other size"):
            assert "line" in said or "entries, not" in said, (case, said)
            assert case in said or "head batch" in case, (case, said)
    assert other.store.client.batches() == [] and other.database.ingests.batches() == []


def test_what_the_sums_do_not_list_is_not_read(house: House, houses, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    package, other = os.path.join(cold_copies(house, tmp_path), "cats-0001"), houses()
    seal(package, without="intents.jsonl")
    with pytest.raises(PackageError, match="does not list"):
        verify_package(package)
    assert "does not list" in refused(other, [package])
    seal(package)
    with open(os.path.join(package, "SHA256SUMS"), "a", encoding="ascii") as file:
        file.write("0" * 64 + "  intents.jsonl\n")
    assert "twice" in refused(other, [package])


def test_objects_that_are_none(house: House, houses, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    whole, other = os.path.join(cold_copies(house, tmp_path), "cats-0001"), houses()
    key = hashlib.sha256(SCRAPE["alone.png"]).hexdigest()

    def repack(change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]):
        package = str(tmp_path / f"repacked{len(os.listdir(tmp_path))}")
        shutil.copytree(whole, package)
        old, new = os.path.join(whole, "objects.tar"), os.path.join(package, "objects.tar")
        with tarfile.open(old) as source, tarfile.open(new, "w") as target:
            for member in source:
                file = source.extractfile(member)
                assert file is not None
                changed = change(member, file.read())
                if changed is not None:
                    target.addfile(changed[0], io.BytesIO(changed[1]))
        seal(package)
        return package

    def link(member: tarfile.TarInfo, data: bytes):
        if key in member.name:
            member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
        return member, data

    def swap(member: tarfile.TarInfo, data: bytes):
        return member, data[::-1] if key in member.name else data

    def drop(member: tarfile.TarInfo, data: bytes):
        return None if key in member.name else (member, data)

    def rename(member: tarfile.TarInfo, data: bytes):
        member.name = member.name.replace(key, "0" * 64)
        return member, data

    assert "has a member" in refused(other, [repack(link)])
    assert f"{key} is damaged" in refused(other, [repack(swap)])
    assert "1 objects of its manifest are not inside" in refused(other, [repack(drop)])
    assert "has a member" in refused(other, [repack(rename)])
    assert other.store.client.batches() == []


def test_a_medium_that_cannot_be_read(house: House, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    package = os.path.join(cold_copies(house, tmp_path), "cats-0001")
    objects = os.path.join(package, "objects.tar")
    os.unlink(objects)
    assert "objects.tar' cannot be read" in refused(house, [package])
    os.mkdir(objects)
    assert "cannot be read: Is a directory; try another copy" in refused(house, [package])


def test_an_ssd_that_is_full(house: House, houses, tmp_path):
    files = {"large.png": PNG + os.urandom(3_000_000)}
    house.ingest(house.scrape("large", files), "large", "plain-folder")
    cold, other = cold_copies(house, tmp_path), houses()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    command = ("restore", cold, "--config", other.config_path)
    result = drystone(*command, expect=1, preexec_fn=limit)
    assert b"could not be unpacked: File too large" in result.stderr
    assert b"make room" in result.stderr and b"Traceback" not in result.stderr
    assert os.listdir(os.path.join(other.area("3a"), ".restore")) == []
    assert other.store.client.batches() == []
    only(restore(other.config_path, [cold], other.database))
