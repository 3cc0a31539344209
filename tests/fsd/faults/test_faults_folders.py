"""Disks that are away, replaced, copied, damaged or shared: on plain folders, without root."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from engine_processes import kill_engine
from store_checks import (
    assert_batch,
    assert_clean,
    assert_readable,
    damage,
    disk,
    finish,
    keys_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
    wait_for_state,
)
from store_harness import MIB, Store, write_files

from base.errors import DrystoneError
from fsd.disks.config import load_config


def make_source(folder: str, count: int = 300, seed: int = 1) -> dict[str, bytes]:
    rng = random.Random(seed)
    files = {f"{n % 7}/{n}": rng.randbytes(rng.randint(1, 20_000)) for n in range(count)}
    write_files(folder, files)
    return files


@pytest.fixture
def filled(store, tmp_path):
    """A started store of three disks with one batch, all copies made; and the batch's files."""
    made = store(3, shard_size_bytes=MIB)
    files = make_source(str(tmp_path / "source"))
    put(made, str(tmp_path / "source"), "first")
    settle(made)
    return made, files


def fullest(store: Store) -> int:
    """Return the number of the disk with the most shards: placement is random."""
    return max(range(len(store.disks)), key=lambda n: len(shard_files(store.disks[n])))


def take_away(store: Store, number: int) -> None:
    os.rename(store.disks[number], store.disks[number] + ".away")


def bring_back(store: Store, number: int) -> None:
    os.rename(store.disks[number] + ".away", store.disks[number])


def replica(store: Store, key: str, number: int = 0) -> tuple[str, int]:
    """Return the shard file of one of an object's replicas, and the offset of its record."""
    head = store.client.head(key)
    name = head.disks[number]
    path = next(d.path for d in store.client.disks() if d.name == name)
    return os.path.join(path, "shards", head.shard_id[:2], head.shard_id + ".shard"), head.offset


def test_a_start_with_the_one_disk_that_missed_everything(filled, tmp_path):
    """A disk that was away for a while comes first at a boot: what the others know comes later."""
    store, files = filled
    store.stop()
    take_away(store, 2)
    store.start()
    more = make_source(str(tmp_path / "more"), 200, 2)
    put(store, str(tmp_path / "more"), "second")
    store.stop()
    take_away(store, 0)
    take_away(store, 1)
    bring_back(store, 2)
    store.start()
    assert [d.state for d in store.client.disks()] == ["missing", "missing", "online"]
    assert store.client.wait(
        store.client.batch_write(str(tmp_path / "more"), "third").job_id
    ).state in ("failed", "incomplete")
    bring_back(store, 0)
    bring_back(store, 1)
    for number in (0, 1):
        # It knows of a later epoch, so it joins at the next start, or right away.
        until(lambda n=number: disk(store, n).state != "", "a look at the disk")
    store.stop()
    store.start()
    assert_batch(store, "first", files)
    assert_batch(store, "second", more)
    put(store, str(tmp_path / "more"), "third")
    assert_clean(store)
    for path in store.disks:
        assert not os.path.isdir(os.path.join(path, "quarantine"))


def test_disks_that_come_late_after_the_index_was_lost(filled, tmp_path):
    """The index is made anew from what is there, and again from what comes."""
    store, files = filled
    store.stop()
    shutil.rmtree(store.config.index_root)
    take_away(store, 0)
    take_away(store, 1)
    store.start()
    bring_back(store, 0)
    bring_back(store, 1)
    wait_for_state(store, 0, "online")
    wait_for_state(store, 1, "online")
    until(lambda: store.client.batches() and store.client.batch("first").sealed, "the batch")
    until(lambda: store.client.health().objects > len(files), "all objects in the index")
    assert_batch(store, "first", files)
    assert_clean(store)


@pytest.mark.fault
def test_a_copied_disk_folder_is_refused(filled):
    store, files = filled
    store.stop()
    shutil.copytree(store.disks[0], store.disks[0] + ".copy")
    take_away(store, 0)
    os.rename(store.disks[0] + ".copy", store.disks[0])
    store.start()
    assert disk(store, 0).state == "missing"
    assert "copy" in disk(store, 0).reason
    assert_readable(store, files)
    shutil.rmtree(store.disks[0])
    bring_back(store, 0)
    wait_for_state(store, 0, "online")
    assert_clean(store)


def test_an_emptied_disk_folder_is_refused(filled):
    store, files = filled
    take_away(store, 0)
    os.mkdir(store.disks[0])
    wait_for_state(store, 0, "missing")
    assert_readable(store, files)
    assert os.listdir(store.disks[0]) == []


@pytest.mark.fault
def test_a_second_engine_on_the_same_config_is_refused(filled):
    store, files = filled
    os.unlink(os.path.join(store.config.run_dir, "engine.pid"))
    os.rename(store.config.socket_path, store.config.socket_path + ".hidden")
    with pytest.raises(DrystoneError, match="runs already"):
        store.start()
    os.rename(store.config.socket_path + ".hidden", store.config.socket_path)
    assert_readable(store, files)
    store.client.shutdown()
    until(lambda: not os.path.exists(store.config.socket_path), "the engine to end")


@pytest.mark.fault
def test_a_second_config_on_the_same_disks_is_refused(filled, tmp_path):
    store, files = filled
    root = str(tmp_path / "other")
    os.makedirs(os.path.join(root, "ssd"))
    with open(store.config_path, encoding="utf-8") as file:
        text = file.read()
    for path in store.disks:
        text = text.replace(f'path = "{os.path.basename(path)}"', f'path = "{path}"')
    with open(os.path.join(root, "drystone.toml"), "w", encoding="utf-8") as file:
        file.write(text)
    other = Store(root, load_config(os.path.join(root, "drystone.toml")), store.disks)
    with pytest.raises(DrystoneError, match="lock"):
        other.start()
    assert [d.state for d in store.client.disks()] == ["online"] * 3
    assert_readable(store, files)
    assert_clean(store)


def test_a_damaged_replica_is_read_around_and_healed(filled):
    store, files = filled
    by_key = {keys_of({"": data})[""]: data for data in files.values()}
    name = f"d{fullest(store) + 1}"
    victims = [key for key in by_key if name in store.client.head(key).disks][:20]
    assert len(victims) == 20
    for key in victims:
        path, offset = replica(store, key, store.client.head(key).disks.index(name))
        damage(path, offset + 80)
        assert read_object(store, key) == by_key[key]
    store.client.wait(store.client.verify().job_id)
    assert_clean(store)
    assert_readable(store, files)


def test_damage_that_only_verify_finds_is_healed(filled):
    store, files = filled
    number = fullest(store)
    for path in shard_files(store.disks[number]):
        damage(path, os.path.getsize(path) // 2)
        damage(path, os.path.getsize(path) - 100)
    job = store.client.verify()
    assert store.client.wait(job.job_id).state == "incomplete"
    assert {line["disk"] for line in store.client.report(job.job_id)} == {f"d{number + 1}"}
    assert_clean(store)
    assert_readable(store, files)


def test_a_lost_shard_file_is_made_again(filled):
    store, files = filled
    for path in shard_files(store.disks[0])[:2]:
        os.unlink(path)
    store.client.wait(store.client.fsck().job_id)
    assert_clean(store)
    for path in shard_files(store.disks[1])[:2]:
        os.truncate(path, os.path.getsize(path) // 2)
    store.stop()
    store.start()
    assert_clean(store)
    assert_readable(store, files)


def test_both_replicas_damaged_in_different_records(filled):
    """Nothing sound is left to copy from, and still every object has one good record."""
    store, files = filled
    keys = sorted(set(keys_of(files).values()))
    by_shard: dict[str, list[str]] = {}
    for key in keys:
        by_shard.setdefault(store.client.head(key).shard_id, []).append(key)
    shard_keys = max(by_shard.values(), key=len)
    assert len(shard_keys) > 10
    for number, key in enumerate(shard_keys[:10]):
        path, offset = replica(store, key, number % 2)
        damage(path, offset + 80)
    # Before anybody reads: what readers tell of is reconstructed, and nothing is to find.
    ended = store.client.wait(store.client.verify().job_id)
    assert ended.state == "incomplete"
    assert_readable(store, files)
    client = store.client
    until(lambda: client.wait(client.verify().job_id).state == "done", "it to be reconstructed")
    # Also when it has to be found again without the index.
    finish(store, store.client.reindex().job_id)
    assert_batch(store, "first", files)


@pytest.mark.fault
def test_an_object_lost_on_all_replicas_is_named(filled, tmp_path):
    store, files = filled
    path, data = next((p, d) for p, d in files.items() if len(d) > 1000)
    key = keys_of(files)[path]
    for number in (0, 1):
        damage(*replica(store, key, number))
    with pytest.raises(DrystoneError, match=key):
        read_object(store, key)
    assert not any(name.startswith("read-") for name in os.listdir(store.root))
    manifest = tmp_path / "m"
    manifest.write_text(f'{{"path": "lost", "key": "{key}"}}\n')
    answer = store.client.export_to_3d(str(manifest), "set", "plain")
    ended = store.client.wait(answer.job_id)
    assert ended.state == "failed" and key in str(ended.error)
    assert not os.path.exists(answer.target_root)
    # The same content put again is stored again: a damaged hit is no hit.
    folder = write_files(str(tmp_path / "again"), {"found": data})
    put(store, folder, "again")
    assert read_object(store, key) == data


def test_a_dead_disk_is_rebuilt(filled):
    store, files = filled
    take_away(store, 0)
    wait_for_state(store, 0, "missing")
    assert_readable(store, files)
    result = finish(store, store.client.rebuild("d1").job_id)
    assert result["stuck"] == 0
    assert disk(store, 0).state == "gone"
    settle(store)
    for key in keys_of(files).values():
        assert set(store.client.head(key).disks) == {"d2", "d3"}
    finish(store, store.client.verify().job_id)
    # It stays gone, also when it comes back, and after a start.
    bring_back(store, 0)
    store.stop()
    store.start()
    assert disk(store, 0).state == "gone"
    assert_readable(store, files)


@pytest.mark.fault
def test_three_copies(store, tmp_path):
    made = store(4, copies_raw=3, shard_size_bytes=MIB)
    files = make_source(str(tmp_path / "source"))
    lines = put(made, str(tmp_path / "source"), "first")
    assert {line["copies_target"] for line in lines} == {3}
    assert {line["copies"] for line in lines} <= {2, 3}
    settle(made)
    for key in keys_of(files).values():
        assert made.client.head(key).copies == 3
    take_away(made, 0)
    take_away(made, 1)
    wait_for_state(made, 0, "missing")
    wait_for_state(made, 1, "missing")
    assert_readable(made, files)
    bring_back(made, 0)
    bring_back(made, 1)
    wait_for_state(made, 0, "online")
    wait_for_state(made, 1, "online")
    assert_clean(made)


def test_an_engine_killed_with_a_disk_away(filled, tmp_path):
    """Open shards whose disks are only partly there are recovered from the ones that are."""
    store, files = filled
    more = make_source(str(tmp_path / "more"), 400, 5)
    put(store, str(tmp_path / "more"), "second")
    kill_engine(store.config, group=True)
    take_away(store, 1)
    store.start()
    assert_readable(store, {**files, **more})
    kill_engine(store.config, group=True)
    bring_back(store, 1)
    take_away(store, 0)
    store.start()
    assert_readable(store, files)
    bring_back(store, 0)
    wait_for_state(store, 0, "online")
    assert_batch(store, "second", more)
    assert_clean(store)
