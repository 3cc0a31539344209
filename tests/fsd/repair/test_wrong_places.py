"""Objects whose place in the index is wrong, though the disks have them: all readers get them."""

from __future__ import annotations

import json
import os

import pytest
from store_checks import (
    assert_clean,
    assert_sealed,
    finish,
    keys_of,
    put,
    read_object,
    settle,
    write_manifest,
)
from store_harness import MIB, Store, write_files
from wrong_places import Change, misplace, move

from base.errors import DrystoneError
from fsd.cli.daemons import daemon

WRONG: dict[str, Change] = {
    "offset": move(9),
    "length": lambda place: place._replace(length_bytes=place.length_bytes ^ 1 << 6),
    "shard": lambda place: place._replace(shard_number=place.shard_number ^ 1),
    "no shard": lambda place: place._replace(shard_number=place.shard_number ^ 1 << 20),
}


@pytest.fixture
def filled(store, short_tmp: str) -> tuple[Store, dict[str, bytes]]:
    """A store of three disks whose shards are all sealed, and what is in it."""
    made = store(3, shard_size_bytes=MIB)
    files = {f"{n % 5}/{n}": os.urandom(200 + n * 977 % 60_000) for n in range(60)}
    files["large"] = os.urandom(3 * MIB)
    put(made, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(made)
    return made, files


def victims(files: dict[str, bytes]) -> dict[str, str]:
    """Return a path for each way to be wrong, the large one among them."""
    names = ["large", *sorted(name for name in files if name != "large")]
    return dict(zip(WRONG, names, strict=False))


@pytest.mark.fault
def test_an_export_has_what_the_index_has_wrong_places_for(filled):
    """Also with wrong lengths, which its reservation is made of; it is begun again by itself."""
    store, files = filled
    keys = keys_of(files)
    misplace(store, {keys[path]: WRONG[way] for way, path in victims(files).items()})
    manifest = write_manifest(os.path.join(store.root, "all.jsonl"), keys)
    answer = store.client.export_to_3d(manifest, "all", "flat")
    result = finish(store, answer.job_id)
    assert result["expected_bytes"] == sum(map(len, files.values()))
    assert_sealed(answer.target_root, files)
    assert "put right" in str(list(store.client.report(answer.job_id)))
    assert_clean(store)
    # What is damaged itself is lost, and nothing is begun again for it.
    again = store.client.export_to_3d(manifest, "again", "flat")
    finish(store, again.job_id)
    assert list(store.client.report(again.job_id)) == []


def test_a_size_that_the_manifest_has_right_is_no_mistake_in_it(filled):
    """The manifests of the store itself say every size; one that is wrong is refused as ever."""
    store, files = filled
    keys, lines = keys_of(files), list[dict[str, object]]()
    misplace(store, {keys[path]: WRONG["length"] for path in ("large", "0/0")})
    for path, key in keys.items():
        lines.append({"path": path, "key": key, "size_bytes": len(files[path])})
    manifest = os.path.join(store.root, "sized.jsonl")
    write_lines(manifest, lines)
    answer = store.client.export_to_3d(manifest, "sized", "flat")
    finish(store, answer.job_id)
    assert_sealed(answer.target_root, files)
    lines[3]["size_bytes"] = 7
    write_lines(manifest, lines)
    with pytest.raises(DrystoneError, match="size_bytes says 7"):
        store.client.export_to_3d(manifest, "wrong", "flat")


def test_a_length_that_no_area_has_room_for_is_no_lack_of_room(filled):
    """A bit of 128 TiB: the row is put right, where no size in the manifest tells that it is."""
    store, files = filled
    keys = keys_of(files)
    misplace(store, {keys["0/0"]: lambda place: place._replace(length_bytes=1 << 47)})
    manifest = write_manifest(os.path.join(store.root, "unsized.jsonl"), keys)
    answer = store.client.export_to_3d(manifest, "unsized", "flat")
    result = finish(store, answer.job_id)
    assert answer.expected_bytes == result["expected_bytes"] == sum(map(len, files.values()))
    assert_sealed(answer.target_root, files)
    assert "put right" in str(list(store.client.report(answer.job_id)))


def write_lines(path: str, lines: list[dict[str, object]]) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


@pytest.mark.fault
def test_the_mount_reads_what_the_index_has_wrong_places_for(filled):
    """It asks the engine, which puts the row right; without one it is an error."""
    store, files = filled
    keys, paths = keys_of(files), victims(files)
    misplace(store, {keys[path]: WRONG[way] for way, path in paths.items()})
    point = store.mount()
    for path in paths.values():
        with open(os.path.join(point, "batches/first", path), "rb") as file:
            assert file.read() == files[path], path
    store.stop()
    misplace(store, {keys[path]: WRONG[way] for way, path in list(paths.items())[1:]})
    point = store.mount()
    daemon.stop_engine(store.config)
    for path in list(paths.values())[1:]:
        with pytest.raises(OSError), open(os.path.join(point, "batches/first", path), "rb") as file:
            file.read()


def test_a_place_in_no_shard_is_no_lost_file(filled):
    """Though no shard of that number is there: the row is put right."""
    store, files = filled
    misplace(store, {keys_of(files)["0/0"]: WRONG["no shard"]})
    job_id = store.client.fsck().job_id
    finish(store, job_id, "incomplete")
    assert "lost" not in str(list(store.client.report(job_id)))
    finish(store, store.client.fsck().job_id)


@pytest.mark.parametrize("more", [-100, 100])
def test_a_wrong_length_never_cuts_an_object_of_the_mount(filled, more: int):
    """Below `objects` the size comes from the index; what is read is all of it, or an error."""
    store, files = filled
    names = {keys_of(files)[path]: files[path] for path in ("1/1", "large")}
    wrong = {
        key: lambda place: place._replace(length_bytes=place.length_bytes + more) for key in names
    }
    misplace(store, wrong)
    point = store.mount()
    for key, data in names.items():
        path = os.path.join(point, "objects", key[:2], key[2:4], key)
        assert os.stat(path).st_size == len(data) + more
        with pytest.raises(OSError), open(path, "rb") as file:
            file.read()
        with open(path, "rb") as file:
            assert file.read() == data


def test_a_length_that_others_put_right_cuts_nothing_of_the_mount(filled):
    """The kernel believes the wrong size that it was told for a day, and would cut what is read."""
    store, files = filled
    path, key = "1/1", keys_of(files)["1/1"]
    misplace(store, {key: lambda place: place._replace(length_bytes=place.length_bytes - 100)})
    seen = os.path.join(store.mount(), "objects", key[:2], key[2:4], key)
    assert os.stat(seen).st_size == len(files[path]) - 100
    assert read_object(store, key) == files[path]
    with open(seen, "rb") as file:
        assert file.read() == files[path]


@pytest.mark.fault
@pytest.mark.parametrize("way", ["shard", "no shard"])
def test_a_place_in_another_shard_is_found_by_the_reader(filled, way: str):
    """Its number differs in one bit: that shard is looked at without waiting for all others."""
    store, files = filled
    key = keys_of(files)["0/0"]
    misplace(store, {key: WRONG[way]})
    assert read_object(store, key) == files["0/0"]
    with pytest.raises(DrystoneError, match="no object"):
        read_object(store, "0" * 64)
