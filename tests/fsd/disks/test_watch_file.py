"""What watching remembers: kept over restarts, and in nobody's way whatever happens to its file."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3

import pytest
from store_checks import assert_clean, assert_readable
from store_harness import write_files

from fsd.disks.watch_file import NAME, WatchFile
from fsd.store.ssd.former_watch import take_over

ROWS = {"a": 1, "b": [1, 2], "c": {"d": "e"}}


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "watch")


def saved(folder: str, kind: str = "kind") -> dict[str, object]:
    file = WatchFile(folder)
    file.close()
    return file.rows(kind)


def filled(folder: str) -> str:
    """Write the rows; returns the path of the file."""
    file = WatchFile(folder)
    assert (file.rows("kind"), file.problem) == ({}, "")
    file.write("kind", ROWS)
    file.close()
    return os.path.join(folder, NAME)


def test_rows_are_kept_and_forgotten_by_name(folder: str):
    filled(folder)
    file = WatchFile(folder)
    file.write("kind", {"a": None, "b": 3, "never": 0})
    file.write("other", {"a": True})
    assert saved(folder) == file.rows("kind") == {"b": 3, "c": {"d": "e"}}
    assert saved(folder, "other") == {"a": True}
    file.close()


def test_what_is_written_is_there_after_kill_9(folder: str):
    file = WatchFile(folder)
    file.write("kind", ROWS)
    # The file as a killed process leaves it: its log was never taken in.
    copy = f"{folder}-copy"
    os.mkdir(copy)
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as one:
            data = one.read()
        with open(os.path.join(copy, name), "wb") as other:
            other.write(data)
    file.close()
    assert saved(copy) == ROWS


def test_a_flipped_byte_of_a_row_costs_that_row_alone(folder: str):
    path = filled(folder)
    with open(path, "rb") as file:
        data = file.read()
    assert data.count(b'{"d": "e"}') == 1
    with open(path, "wb") as file:
        file.write(data.replace(b'{"d": "e"}', b'{"d": "f"}'))
    again = WatchFile(folder)
    assert "1 rows fail their checksums" in again.problem
    assert again.rows("kind") == {"a": 1, "b": [1, 2]}
    again.write("other", {"x": 1})
    again.close()
    healed = WatchFile(folder)
    assert (healed.rows("kind"), healed.problem) == ({"a": 1, "b": [1, 2]}, "")
    healed.close()


@pytest.mark.parametrize("garbage", [b"", b"damaged", b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_file_is_made_anew(folder: str, garbage: bytes):
    path = filled(folder)
    with open(path, "wb") as file:
        file.write(garbage)
    again = WatchFile(folder)
    assert bool(again.problem) is bool(garbage)
    assert again.rows("kind") == {}
    again.write("kind", ROWS)
    again.close()
    assert saved(folder) == ROWS


def test_what_a_locked_file_did_not_take_comes_with_the_next_write(folder: str):
    path = filled(folder)
    file = WatchFile(folder)
    with sqlite3.connect(path, isolation_level=None) as person:
        person.execute("BEGIN EXCLUSIVE")
        file.write("kind", {"a": 2})
        assert file.rows("kind")["a"] == 2
        person.execute("ROLLBACK")
    person.close()
    assert saved(folder)["a"] == 1
    file.write("kind", {"b": 3})
    assert saved(folder) == {**ROWS, "a": 2, "b": 3}
    file.close()


def test_a_place_where_no_file_can_be_costs_the_memory_alone(folder: str):
    os.makedirs(os.path.join(folder, NAME))
    file = WatchFile(folder)
    assert "cannot be used" in file.problem
    file.write("kind", ROWS)
    assert file.rows("kind") == ROWS
    os.rmdir(os.path.join(folder, NAME))
    file.write("kind", {"a": 2})
    file.close()
    assert saved(folder) == {**ROWS, "a": 2}


@pytest.mark.fault
def test_a_store_puts_and_reads_whatever_its_memory_is(store, tmp_path):
    """Damaged at a start, locked by a person, gone while the engine runs."""
    one = store(2)
    path = os.path.join(one.config.watch_dir, NAME)
    one.stop()
    with open(path, "wb") as file:
        file.write(b"damaged")
    one.start()
    health = one.client.health()
    assert any("what watching remembers cannot be used" in text for text in health.last_errors)
    assert health.state == "ok"
    files: dict[str, bytes] = {}

    def put(name: str) -> None:
        files[name] = os.urandom(20_000)
        one.put(write_files(str(tmp_path / name), {name: files[name]}), name)

    with sqlite3.connect(path, isolation_level=None) as person:
        person.execute("BEGIN EXCLUSIVE")
        put("locked")
        person.execute("ROLLBACK")
    person.close()
    for name in os.listdir(one.config.watch_dir):
        os.unlink(os.path.join(one.config.watch_dir, name))
    put("gone")
    assert_readable(one, files)
    one.stop()
    one.start()
    assert_readable(one, files)
    assert_clean(one)


def test_what_an_earlier_version_knew_of_damage_is_taken_over_once(folder: str):
    os.makedirs(folder)
    shard, disk, key = "ab" * 16, "cd" * 16, "ef" * 32

    def leave(**former: object) -> None:
        for name, document in former.items():
            with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
                file.write(document if isinstance(document, str) else json.dumps(document))

    def started() -> tuple[dict[str, object], dict[str, object]]:
        file = WatchFile(folder)
        take_over(file, folder)
        file.close()
        return saved(folder, "suspect"), saved(folder, "lost")

    leave(
        suspect={
            "format": 1,
            "suspect": [[shard, disk], ["half"], 7, ["x" * 32, disk], [shard, disk[1:]]],
        },
        lost_keys={"format": 1, "lost": [key, 3, "g" + key[1:], key[1:], key + "\n"]},
        alerts={"format": 1, "raised": []},
    )
    known = {f"{shard} {disk}": True}, {key: True}
    assert started() == started() == known
    assert [name for name in os.listdir(folder) if not name.startswith(NAME)] == []
    # What cannot be read says nothing, and takes nothing away.
    leave(suspect='{"format": 1, "suspect": [[', lost_keys={"format": 2, "lost": ["x"]})
    assert started() == known
    # Where nothing can be written, they stay for another start.
    leave(lost_keys={"format": 1, "lost": [key]})
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
    os.mkdir(os.path.join(folder, NAME))
    file = WatchFile(folder)
    take_over(file, folder)
    assert file.rows("lost") == {key: True} and "lost_keys.json" in os.listdir(folder)
    file.close()
