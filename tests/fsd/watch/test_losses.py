"""What no disk gives is listed by name: all of it, whatever took it away, and nothing else."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from command import drystone, json_lines
from store_checks import (
    assert_clean,
    finish,
    key_of,
    keys_of,
    put,
    settle,
    shard_files,
    until,
    wait_for_state,
    write_manifest,
)
from store_harness import Store, with_settings, write_files

from base.errors import UsageError
from fsd.format import record
from fsd.scrub.scrub import LOSSES_LISTED_MAX

NUMBERS = range(4000)
"""So many that one shard has more of them than a document of the API lists."""


@pytest.fixture
def full(store) -> tuple[Store, dict[str, bytes]]:
    """Four disks, two copies of each; one batch of many small files, one of some large ones."""
    one = store(4, started=False)
    one.config = with_settings(one.root, scrub_rate_bytes_per_s=0)
    one.start()
    small = {f"small/{number}": os.urandom(300) for number in NUMBERS}
    large = {f"large\n{number} é": os.urandom(400_000 + number) for number in range(12)}
    put(one, write_files(os.path.join(one.root, "a"), small), "first")
    put(one, write_files(os.path.join(one.root, "b"), large), "second")
    settle(one)
    return one, small | large


def keys_in(shard_path: str) -> set[str]:
    """Return the keys in a sealed shard, from its footer."""
    with open(shard_path, "rb") as file:
        data = file.read()
    footer = record.unpack_footer_trailer(data)
    return {entry.key.hex() for entry in record.unpack_entries(data[footer.data_end :], footer)}


def holders_of(one: Store, files: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Return the names of the disks that have each file, as the disks say."""
    held = defaultdict[str, set[str]](set)
    for found in one.client.disks():
        for key in {key for path in shard_files(found.path) for key in keys_in(path)}:
            held[key].add(found.name)
    return {path: held[key] for path, key in keys_of(files).items()}


def away(one: Store, *names: str) -> None:
    for found in one.client.disks():
        if found.name in names:
            os.rename(found.path, f"{found.path}.away")
    for number, found in enumerate(one.client.disks()):
        if found.name in names:
            wait_for_state(one, number, "missing")


def back(one: Store, *names: str) -> None:
    for number, found in enumerate(one.client.disks()):
        if found.name in names:
            os.rename(f"{found.path}.away", found.path)
            wait_for_state(one, number, "online")


def losses(one: Store, *without: str) -> dict[str, dict[str, Any]]:
    """Return the lines on files, by path; what the job says of itself fits them."""
    job = one.client.wait(one.client.losses(without).job_id)
    lines = list(one.client.report(job.job_id))
    found = {line["path"]: line for line in lines if "batch" in line and "path" in line}
    assert job.state == ("incomplete" if lines else "done"), (job.state, job.error)
    assert (job.result["files"], job.result["others"]) == (len(found), len(lines) - len(found))
    assert job.done_files == job.total_files > 0
    return found


def fullest(one: Store, files: Mapping[str, bytes]) -> list[str]:
    """Return the small files in the shard that has most of them."""
    small = {key: path for path, key in keys_of(files).items() if path.startswith("small")}
    shards = (keys_in(path) & small.keys() for folder in one.disks for path in shard_files(folder))
    return [small[key] for key in max(shards, key=len)]


def only_on(holders: Mapping[str, set[str]], *names: str) -> set[str]:
    return {path for path, disks in holders.items() if disks <= set(names)}


@pytest.mark.fault
def test_all_files_of_disks_that_are_away_and_no_other(full):
    one, files = full
    holders = holders_of(one, files)
    assert losses(one) == {}
    pair = sorted(holders[fullest(one, files)[0]])
    expected = only_on(holders, *pair)
    away(one, *pair)
    found = losses(one)
    assert found.keys() == expected and len(found) > LOSSES_LISTED_MAX
    for path, line in found.items():
        assert line["key"] == key_of(files[path])
        assert line["batch"] == ("first" if path.startswith("small") else "second")
        assert all(f"{name} (missing)" in line["reason"] for name in pair)
    job = one.client.wait(one.client.fsck().job_id)
    named = [line for line in one.client.report(job.job_id) if "path" in line]
    assert named and all(found[line["path"]] == line for line in named)
    back(one, *pair)
    assert losses(one) == {}
    assert_clean(one)


def test_as_if_a_disk_were_away(full):
    one, files = full
    holders = holders_of(one, files)
    first, second = sorted(holders["small/0"])
    assert losses(one, first) == {}
    assert losses(one, first, second).keys() == only_on(holders, first, second)
    away(one, first)
    found = losses(one, second)
    assert found.keys() == only_on(holders, first, second)
    assert all(second in line["reason"] for line in found.values())
    assert losses(one) == {}
    with pytest.raises(UsageError, match="d9"):
        one.client.losses(["d9"])
    shown = drystone("losses", "--without", second, "--config", one.config_path, expect=3)
    told = {line.split(": ")[1] for line in shown.stdout.decode().splitlines()}
    assert {path for path in found if path.startswith("small")} <= told
    told = drystone("disk", "retire", second, "--force", "--config", one.config_path, expect=1)
    assert f"drystone losses --without {second}" in told.stderr.decode()
    drystone("losses", "--without", "d9", "--config", one.config_path, expect=2)


@pytest.mark.fault
def test_what_was_given_up_for_good(full):
    """Nothing is counted on any more: neither their shards nor their disks are known by then."""
    one, files = full
    holders = holders_of(one, files)
    pair = sorted(holders["small/0"])
    away(one, *pair)
    for name in pair:
        one.client.disk_retire(name, force=True)
    settled = only_on(holders, *pair)
    assert losses(one).keys() == settled
    one.stop()
    one.start()
    assert losses(one).keys() == settled
    # Stored again, they are no losses any more.
    one.put(write_files(os.path.join(one.root, "c"), {p: files[p] for p in settled}), "again")
    assert losses(one) == {}


@pytest.mark.fault
def test_what_is_damaged_on_every_disk(full):
    """More than are listed in one document; each is in the reports, and the counts are right."""
    one, files = full
    expected = set(fullest(one, files))
    assert len(expected) > LOSSES_LISTED_MAX
    shard = one.client.head(key_of(files[min(expected)])).shard_id
    for folder in one.disks:
        for path in shard_files(folder):
            if shard in path:
                damage_contents(path, [files[name] for name in expected])
    job_id = one.client.scrub().job_id
    assert finish(one, job_id, "incomplete")["losses"] == len(expected)
    told = {line["path"] for line in one.client.report(job_id) if line.get("status") == "lost"}
    assert told == {f"first: {path}" for path in expected}
    status = one.client.scrub_status()
    assert status.lost_objects == len(expected) and len(status.losses) == LOSSES_LISTED_MAX
    warning = next(one for one in one.client.warnings() if one.code == "lost")
    assert warning.message.startswith(f"{len(expected):,} objects")
    assert f"drystone_lost_objects {len(expected)}" in one.client.metrics()
    found = losses(one)
    assert found.keys() == expected
    assert all("damaged on every disk" in line["reason"] for line in found.values())
    lines = json_lines(drystone("losses", "--json", "--config", one.config_path, expect=3))
    assert {line["path"] for line in lines[:-1]} == expected


def test_damage_here_and_the_sound_copy_away(full):
    """Neither of these alone is a loss."""
    one, files = full
    small = fullest(one, files)[:3]
    head = one.client.head(key_of(files[small[0]]))
    here, there = head.disks
    path = next(found.path for found in one.client.disks() if found.name == here)
    (damaged,) = (shard for shard in shard_files(path) if head.shard_id in shard)
    away(one, there)
    damage_contents(damaged, [files[name] for name in small])
    finish(one, one.client.scrub().job_id, "incomplete")
    found = losses(one)
    assert found.keys() == set(small)
    for line in found.values():
        assert "damaged" in line["reason"] and f"but for {there} (missing)" in line["reason"]
    back(one, there)
    until(lambda: one.client.health().state == "ok", "all copies")
    assert losses(one) == {}


def test_what_only_a_view_and_a_pin_still_name(full):
    """Their batch was purged; what they show is lost all the same."""
    one, files = full
    kept = {"kept": files["large\n3 é"]}
    manifest = write_manifest(os.path.join(one.root, "m"), keys_of(kept))
    answer = one.client.export_to_3d(manifest, "set", "plain", "view")
    finish(one, answer.job_id)
    one.client.pin_manifest(answer.manifest_key, "pinned")
    finish(one, one.client.purge("second").job_id)
    settle(one)
    disks = one.client.head(key_of(kept["kept"])).disks
    job = one.client.wait(one.client.losses(disks).job_id)
    lines = [x for x in one.client.report(job.job_id) if x.get("key") == key_of(kept["kept"])]
    assert {line["named_by"] for line in lines} == {"view exports/set/plain", "pin pinned"}
    assert [line["path"] for line in lines if "path" in line] == ["kept"]
    assert losses(one) == {}


def damage_contents(path: str, contents: list[bytes]) -> None:
    """Flip a byte in the middle of each content in a file, where it lies."""
    with open(path, "r+b") as file:
        data = file.read()
        for content in contents:
            place = data.index(content) + len(content) // 2
            file.seek(place)
            file.write(bytes([data[place] ^ 0xFF]))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_a_batch_whose_list_of_files_is_on_these_disks(full):
    """The listing on the SSD still knows the names; that the list itself is away is said too."""
    one, files = full
    manifest = write_manifest(os.path.join(one.root, "m"), keys_of({"f": files["small/0"]}))
    answer = one.client.export_to_3d(manifest, "set", "plain", "view")
    finish(one, answer.job_id)
    one.client.pin_manifest(answer.manifest_key, "kept")
    names = [found.name for found in one.client.disks()]
    away(one, *names)
    job = one.client.wait(one.client.losses().job_id)
    lines = list(one.client.report(job.job_id))
    assert {line["path"] for line in lines if "path" in line and "batch" in line} == set(files)
    parts = [line for line in lines if "list of files" in line["reason"]]
    assert {line["batch"] for line in parts} >= {"first", "second"}
    named_by = {line["named_by"]: line["key"] for line in lines if "manifest" in line["reason"]}
    assert named_by == dict.fromkeys(["view exports/set/plain", "pin kept"], answer.manifest_key)
    back(one, *names)
    until(lambda: one.client.health().state == "ok", "all copies")
