"""Cold copies that cannot be read back: confirmed by a listing of checksums, or on trust."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from command import drystone
from ingest_harness import House

from adapters.cold_storage.outbox import confirm, confirm_by_sums, confirm_on_trust
from adapters.cold_storage.sums import check_listed
from adapters.packages.package_read import SUMS_NAME
from adapters.records.errors import PackageError
from base.errors import UsageError

KEYS = {"objects.tar": "ab" * 32, "manifest.jsonl": "cd" * 32, "SHA256SUMS": "01" * 32}
OTHER = "77" * 32


def base64_of(key: str) -> str:
    return base64.b64encode(bytes.fromhex(key)).decode()


def report_of(path: str, key: str, kind: str = "FULL_OBJECT") -> str:
    """A line of what S3's "Compute checksum" says at its end."""
    found = {
        "checksum_base64": base64_of(key),
        "etag": "0" * 32,
        "checksumAlgorithm": "SHA256",
        "checksumType": kind,
        "checksum_hex": key.upper(),
    }
    quoted = json.dumps(found).replace('"', '""')
    return f'bucket,{path},,succeeded,,200,"{quoted}"'


FORMS: dict[str, Callable[[str, str], str]] = {
    "sha256sum": lambda path, key: f"{key}  {path}",
    "sha256sum --binary": lambda path, key: f"{key} *{path}",
    "sha256sum --tag": lambda path, key: f"SHA256 ({path}) = {key}",
    "S3 inventory": lambda path, key: f'"bucket","{path}","123","STANDARD","{base64_of(key)}"',
    "two columns": lambda path, key: f"{path},{key}",
    "two columns, the other way": lambda path, key: f"{key.upper()},{path}",
    "a report of Compute checksum": report_of,
}


def listed(tmp_path, lines: list[str], packed: bool = False) -> str:
    path = tmp_path / "listing"
    data = "".join(f"{line}\r\n" if "," in line else f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return str(path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_listing_is_read_in_every_form(tmp_path, form: str, packed: bool):
    write = FORMS[form]
    others = [write(f"cold/dogs-0001/{name}", "99" * 32) for name in KEYS]
    lines = [write(f"cold/cats-0001/{name}", key) for name, key in KEYS.items()]
    assert check_listed(listed(tmp_path, [*others, *lines], packed), KEYS) == "cold/cats-0001"
    with pytest.raises(PackageError, match=r"SHA256SUMS is missing$"):
        check_listed(listed(tmp_path, [*others, *lines[:-1]]), KEYS)
    wrong = write("cold/cats-0001/objects.tar", OTHER)
    with pytest.raises(PackageError, match=f"objects.tar has the hash {OTHER}, not"):
        check_listed(listed(tmp_path, [wrong, *lines[1:]]), KEYS)
    # Two versions of a file: nobody knows which one is there.
    with pytest.raises(PackageError, match=r"objects.tar is listed with several hashes$"):
        check_listed(listed(tmp_path, [wrong, *lines]), KEYS)


def test_the_first_row_may_name_the_columns(tmp_path):
    lines = ["Size,ChecksumSHA256,Key"]
    lines += [f"1,{base64_of(key)},a/{name}" for name, key in KEYS.items()]
    assert check_listed(listed(tmp_path, lines), KEYS) == "a"


NO_HASHES = {
    "empty": [],
    "MD5": [f"{name},{'ab' * 16}" for name in KEYS],
    "composite": [f"bucket,{name},{base64_of(key)}-3" for name, key in KEYS.items()],
    "report of composite": [report_of(name, key, "COMPOSITE") for name, key in KEYS.items()],
}


@pytest.mark.parametrize("name", NO_HASHES)
def test_what_is_no_hash_of_a_whole_file_is_none(tmp_path, name: str):
    with pytest.raises(UsageError, match="no line with a path and a SHA-256"):
        check_listed(listed(tmp_path, NO_HASHES[name]), KEYS)


BROKEN = [b"\x1f\x8b broken", gzip.compress(os.urandom(99_999))[:50_000], b"x" * 100_000,
          b"\xff\x00\n" * 10]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN, ids=["no gzip", "cut gzip", "one line", "bytes"])
def test_a_file_that_is_no_listing_is_refused_in_one_line(tmp_path, data: bytes):
    path = tmp_path / "listing"
    path.write_bytes(data)
    with pytest.raises(UsageError) as refused:
        check_listed(str(path), KEYS)
    assert "\n" not in str(refused.value)


def sums_of(folder: str, output, *, absolute: bool = False) -> str:
    """Write what `sha256sum` says of a folder, with names or with whole paths."""
    names = sorted(os.listdir(folder))
    if absolute:
        names = [os.path.join(folder, name) for name in names]
    found = subprocess.run(["sha256sum", *names], cwd=folder, capture_output=True, check=True)
    output.write_bytes(found.stdout)
    return str(output)


def test_a_package_is_confirmed_by_the_sums_of_its_copy(house: House, tmp_path):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    own = os.path.join(house.area("3b"), "cats-0001")
    copy = str(shutil.copytree(own, tmp_path / "cold" / "cats-0001"))
    name, path, database = "cats-0001", house.config_path, house.database
    with pytest.raises(PackageError, match="SHA256SUMS is missing"):
        confirm_by_sums(path, name, os.path.join(own, SUMS_NAME), database)
    with pytest.raises(UsageError, match="the outbox's own files"):
        confirm_by_sums(path, name, sums_of(own, tmp_path / "itself", absolute=True), database)
    with open(os.path.join(copy, "objects.tar"), "r+b") as file:
        file.write(b"x")
    with pytest.raises(PackageError, match=r"objects.tar has the hash"):
        confirm_by_sums(path, name, sums_of(copy, tmp_path / "damaged"), database)
    assert os.path.exists(own) and os.path.exists(folder)
    assert [one.confirmed_by for one in database.ingests.packages()] == [None]
    shutil.copy(os.path.join(own, "objects.tar"), copy)
    listing = sums_of(copy, tmp_path / "listing")
    for _ in range(2):  # The second one finds it confirmed, and the outbox empty.
        assert confirm_by_sums(path, name, listing, database).batch_complete
    (package,) = database.ingests.packages(waiting_only=False)
    assert (package.confirmed_by, package.confirmed_copy) == ("sums", listing)
    assert not os.path.exists(own) and not os.path.exists(folder)


def test_trust_is_recorded_and_a_copy_that_was_read_is_more(house: House, tmp_path):
    folder = house.scrape("cats")
    house.ingest(folder, "cats")
    own = os.path.join(house.area("3b"), "cats-0001")
    copy = str(shutil.copytree(own, tmp_path / "cold"))
    assert confirm_on_trust(house.config_path, "cats-0001", house.database).batch_complete
    (package,) = house.database.ingests.packages(waiting_only=False)
    assert (package.confirmed_by, package.confirmed_copy) == ("trust", None)
    assert not os.path.exists(own) and not os.path.exists(folder)
    confirm(house.config_path, "cats-0001", copy, house.database)
    confirm_on_trust(house.config_path, "cats-0001", house.database)
    (package,) = house.database.ingests.packages(waiting_only=False)
    assert (package.confirmed_by, package.confirmed_copy) == ("copy", copy)


def test_the_command_wants_one_way_and_says_how_it_was_confirmed(house: House, tmp_path):
    house.ingest(house.scrape("cats"), "cats")
    store = ("--config", house.config_path)
    for ways in ((), ("--trust", "--copy", str(tmp_path))):
        refused = drystone("outbox", "confirm", "cats-0001", *ways, *store, expect=2)
        assert b"say one of" in refused.stderr
    assert b"without a look" in drystone("outbox", "confirm", "cats-0001", "--trust", *store).stderr
    shown = drystone("outbox", "list", "--all", *store).stdout
    assert b"trust" in shown and b"nobody looked" in shown
