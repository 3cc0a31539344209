"""The embedded server on an SSD that is full: it reads, loses nothing, and writes when it can."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator

import psycopg
import pytest
from command import drystone
from loop_disks import LoopDisk, needs_loop
from server_fixture import EmbeddedStore

from base import ballast
from sql import Database
from sql.core.errors import DatabaseFullError
from sql.server import room, server

pytestmark = needs_loop
SSD_BYTES = 768 << 20
LOG_MIB = 400


@pytest.fixture
def ssd(short_tmp) -> Iterator[LoopDisk]:
    """A small filesystem for the store and its database."""
    made = LoopDisk(os.path.join(short_tmp, "ssd.ext4"), os.path.join(short_tmp, "s"), SSD_BYTES)
    yield made
    made.unmount_surely()


@pytest.fixture
def embedded(ssd: LoopDisk) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(os.path.join(ssd.path, "store"))
    with made.open() as database:
        write(database, "before")
    yield made
    with contextlib.suppress(FileNotFoundError):
        os.unlink(filler(ssd))
    made.end()


def filler(ssd: LoopDisk) -> str:
    return os.path.join(ssd.path, "filler")


def leave(ssd: LoopDisk, free_bytes: int) -> None:
    """Take all room but so much, to the last block when it is none."""
    with open(filler(ssd), "ab") as file:
        more_bytes = ballast.free_bytes(ssd.path) - free_bytes
        os.posix_fallocate(
            file.fileno(), os.fstat(file.fileno()).st_size, max(1, more_bytes - (1 << 20))
        )
    with open(filler(ssd), "ab", buffering=0) as file:
        while ballast.free_bytes(ssd.path) > free_bytes:
            try:
                file.write(bytes(1 << 10))
            except OSError:
                break


def write(database: Database, name: str) -> None:
    database.ingests.open(name, "plain_folder", None, "folder")


def names(database: Database) -> list[str]:
    return [batch.name for batch in database.ingests.batches()]


@pytest.mark.fault
def test_a_start_without_a_free_byte_reads_and_writes_when_there_is_room(
    embedded: EmbeddedStore, ssd: LoopDisk
):
    server.stop(embedded.place)
    leave(ssd, 0)
    assert ballast.free_bytes(ssd.path) == 0
    told = drystone("db", "start", "--config", embedded.config_path).stderr.decode()
    assert "the SSD of the database is full" in told and "only reads" in told
    assert b"only reads" in drystone("db", "status", "--config", embedded.config_path).stdout
    with embedded.open() as database:
        assert names(database) == ["before"]
        with pytest.raises(DatabaseFullError, match="MB are free"):
            write(database, "meanwhile")
        assert names(database) == ["before"]
        os.unlink(filler(ssd))
        write(database, "after")
        assert names(database) == ["before", "after"]
        assert room.ballast_of(embedded.data).size_bytes() == room.WANTED_BYTES
    assert b"only reads" not in drystone("db", "status", "--config", embedded.config_path).stdout


@pytest.mark.fault
@pytest.mark.parametrize("free_mib", [2, 5, 15])
def test_what_is_written_while_hardly_anything_is_free_ends_no_server(
    embedded: EmbeddedStore, ssd: LoopDisk, free_mib: int
):
    first = embedded.postmaster()
    leave(ssd, free_mib << 20)
    with embedded.open() as database:
        for number in range(20):
            with pytest.raises(DatabaseFullError):
                write(database, f"meanwhile-{number}")
    assert embedded.postmaster() == first
    embedded.kill_postmaster()
    with embedded.open() as database:
        assert names(database) == ["before"]


@pytest.mark.fault
def test_a_log_that_finds_no_room_for_its_next_segment_is_replayed(
    embedded: EmbeddedStore, ssd: LoopDisk
):
    """Somebody's own statements fill the log: the server ends itself, and so would the next one."""
    leave(ssd, 40 << 20)
    with (
        pytest.raises(psycopg.OperationalError),
        psycopg.connect(server.dsn(embedded.place)) as other,
    ):
        for _ in range(LOG_MIB):
            other.execute("SELECT pg_logical_emit_message(false, '', repeat('x', 1048576))")
    with open(embedded.place.log_path, encoding="utf-8") as file:
        assert "PANIC" in file.read()
    for _ in range(3):
        with embedded.open() as database:
            assert names(database) == ["before"]
            with pytest.raises(DatabaseFullError):
                write(database, "meanwhile")
        embedded.kill_postmaster()
    os.unlink(filler(ssd))
    with embedded.open() as database:
        write(database, "after")


@pytest.mark.fault
def test_a_backup_without_room_says_so_and_alerts(
    embedded: EmbeddedStore, ssd: LoopDisk, short_tmp: str
):
    folders = [os.path.join(short_tmp, name) for name in ("one", "two")]
    for folder in folders:
        os.mkdir(folder)
    told = os.path.join(short_tmp, "told.json")
    embedded.configure(
        f"backup_folders = {json.dumps(folders)}\nalert_command = ['cp', '/dev/stdin', '{told}']"
    )
    leave(ssd, 0)
    done = drystone("db", "backup", "--config", embedded.config_path, expect=3)
    assert b"Traceback" not in done.stderr
    with open(told, encoding="utf-8") as file:
        report = json.load(file)
    assert report["state"] == "incomplete" and len(report["copies"]) == 2, report
    assert "the SSD of the database is full" in " ".join(report["warnings"])
    os.unlink(filler(ssd))
    drystone("db", "backup", "--config", embedded.config_path)


@pytest.mark.fault
def test_without_an_inode_the_message_speaks_of_files(embedded: EmbeddedStore, ssd: LoopDisk):
    folder = os.path.join(ssd.path, "many")
    os.mkdir(folder)
    with contextlib.suppress(OSError):
        for number in itertools.count():
            with open(os.path.join(folder, str(number)), "wb"):
                pass
    with embedded.open() as database:
        assert names(database) == ["before"]
        with pytest.raises(DatabaseFullError, match=r"0 inodes are free, .*MB are free"):
            write(database, "meanwhile")
        shutil.rmtree(folder)
        write(database, "after")
