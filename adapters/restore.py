"""Getting everything back from TYPE1 packages: it owns the last resort, when all disks are gone.

A package is read from wherever its copy lies into an empty folder of the SSD, stored again under
its batch name, and what UA_1 told the database is told again. All of it can be repeated: stored
content is not written twice, and an intent that was applied is not applied again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from adapters.batch_work import PROBLEMS_NAME, check_batch_name
from adapters.errors import PackageError, UsageError
from adapters.ingest import DERIVED_SUFFIX, FALLBACK, quarantine_rows
from adapters.items import Problem
from adapters.package import (
    BLOCK_BYTES,
    INTENTS_NAME,
    SUMS_NAME,
    Entry,
    read_manifest,
    read_objects,
    verify_package,
)
from adapters.registry import adapter_named
from fsd import Client, load_config, safe_text
from sql import Database, WriteIntent

PATH_BYTES_MAX = 4_000
NAME_BYTES_MAX = 255
SETS = {"files": "", "derived": DERIVED_SUFFIX}


@dataclass(slots=True)
class Restored:
    """What came back from one package."""

    package: str
    batch: str
    files: int = 0
    size_bytes: int = 0
    stored_new: int = 0
    stored_existing: int = 0
    intents: int = 0
    intents_repeated: int = 0


def find_packages(places: list[str]) -> list[str]:
    """Return the package folders at or right below the given places, in name order."""
    found: list[str] = []
    for place in places:
        if os.path.exists(os.path.join(place, SUMS_NAME)):
            found.append(place)
            continue
        if not os.path.isdir(place):
            raise UsageError(f"{place!a} is not a folder")
        below = sorted(entry.path for entry in os.scandir(place) if entry.is_dir())
        packages = [path for path in below if os.path.exists(os.path.join(path, SUMS_NAME))]
        if not packages:
            raise UsageError(f"{place!a} is no package and holds none (no {SUMS_NAME})")
        found += packages
    return found


def restore(
    config_path: str,
    package: str,
    database: Database | None,
    say: Callable[[str], None] = lambda _line: None,
) -> Restored:
    """Bring one package back; without a database only its bytes.

    Raises PackageError, before anything is stored, when the package is not what its sums say.
    """
    config = load_config(config_path)
    package = os.path.realpath(package)
    say(f"{os.path.basename(package)}: verifying")
    verify_package(package)
    head, entries = read_manifest(package)
    check_batch_name(head["batch"])
    for entry in entries:
        _check_path(entry)
    report = Restored(os.path.basename(package), head["batch"])
    work = os.path.join(config.area_path("3a"), ".restore", report.package)
    shutil.rmtree(work, ignore_errors=True)
    try:
        say(f"{report.package}: unpacking {len(entries):,} files")
        _unpack(package, entries, work)
        client = Client(config.socket_path)
        for set_name, suffix in SETS.items():
            paths = [entry.path for entry in entries if entry.set_name == set_name]
            if paths:
                say(f"{report.package}: storing {len(paths):,} files")
                folder = os.path.join(work, set_name)
                _store(client, folder, report.batch + suffix, paths, report)
        if database is not None:
            _describe(database, package, head, entries, report, say)
            _quarantine(database, os.path.join(work, "derived", PROBLEMS_NAME), report, entries)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def _check_path(entry: Entry) -> None:
    """Refuse a path that would leave its folder: the manifest may come from anywhere."""
    path = entry.path
    raw = os.fsencode(path)
    parts = path.split("/")
    if (
        not path
        or "\0" in path
        or len(raw) > PATH_BYTES_MAX
        or any(part in ("", ".", "..") or len(os.fsencode(part)) > NAME_BYTES_MAX for part in parts)
        or entry.set_name not in SETS
    ):
        raise PackageError(f"the package names a path that cannot be restored: {path[:200]!a}")


def _unpack(package: str, entries: list[Entry], work: str) -> None:
    """Write every object once and give it all its paths, verifying it on the way."""
    wanted: dict[str, list[Entry]] = {}
    for entry in entries:
        wanted.setdefault(entry.key, []).append(entry)
    for key, stream in read_objects(package):
        digest = hashlib.sha256()
        first, *others = _places(work, wanted.pop(key, []))
        with open(first, "xb") as output:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
                output.write(block)
        if digest.hexdigest() != key:
            raise PackageError(f"{package!a}: the object {key} is damaged")
        for other in others:
            shutil.copyfile(first, other)
    if wanted:
        raise PackageError(f"{package!a}: {len(wanted):,} objects of its manifest are not inside")


def _places(work: str, entries: list[Entry]) -> list[str]:
    if not entries:
        raise PackageError("the package holds an object that its manifest does not name")
    places = [os.path.join(work, entry.set_name, entry.path) for entry in entries]
    for place in places:
        os.makedirs(os.path.dirname(place), exist_ok=True)
    return places


def _store(client: Client, folder: str, batch: str, paths: list[str], report: Restored) -> None:
    job = client.wait(client.batch_write(folder, batch, "raw", sorted(paths)).job_id)
    if job.state != "done":
        raise PackageError(
            f"the store did not take all of {batch}: {job.error or job.state}; "
            "see `drystone health`, then restore again"
        )
    report.files += len(paths)
    report.size_bytes += job.done_bytes
    report.stored_new += job.result.get("written", 0)
    report.stored_existing += job.result.get("existing", 0)


def _describe(
    database: Database,
    package: str,
    head: dict[str, str],
    entries: list[Entry],
    report: Restored,
    say: Callable[[str], None],
) -> None:
    adapter = adapter_named(head["adapter"])
    for table in (*adapter.tables, *adapter_named(FALLBACK).tables):
        database.declare(table)
    files = [entry for entry in entries if entry.set_name == "files"]
    new = head["batch"] not in {batch.name for batch in database.ingest_batches()}
    if new:
        size = sum(entry.size_bytes for entry in files)
        folder = f"restored from {safe_text(report.package)}"
        database.open_ingest_batch(
            head["batch"], head["adapter"], head["user"], folder, len(files), size
        )
        # Its packages have been copied, or they could not be read here.
        database.set_ingest_state(head["batch"], "confirmed", None)
    path = os.path.join(package, INTENTS_NAME)
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        for line in file:
            if not line.strip():
                continue
            result = database.apply_intent(WriteIntent.model_validate_json(line))
            report.intents += 1
            report.intents_repeated += result.repeated
            say(f"{report.package}: {report.intents:,} intents")


def _quarantine(database: Database, path: str, report: Restored, entries: list[Entry]) -> None:
    """Set aside again what was; the list lies in the package that holds the end of the batch."""
    if not os.path.exists(path):
        return
    with open(path, encoding="ascii") as file:
        problems = [Problem(**problem) for problem in json.load(file)]
    keys = {entry.path: entry.key for entry in entries if entry.set_name == "files"}
    database.add_quarantine(report.batch, quarantine_rows(problems, keys))
