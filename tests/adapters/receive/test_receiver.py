"""Receiving: what was told accepted comes into the inbox once, whatever ends the process."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from store_harness import Store

from adapters.ingest.inbox import waiting_folders
from adapters.receive import receiver as receiver_module
from adapters.receive import room as room_module
from adapters.receive.laid_out import PREFIX
from adapters.receive.receipts import Said
from adapters.receive.receiver import FOLDER, Receiver
from adapters.receive.upload import FOLDER as UPLOADS
from adapters.receive.upload import Upload
from adapters.records.errors import SpaceError
from adapters.sources.received import Line, priority_of
from base.errors import UsageError
from base.journal.journal import Journal, JournalBusyError, JournalError
from sql import KeyReusedError

LATER_S = 1e12


@pytest.fixture
def place(store: Callable[..., Store]) -> Store:
    return store(started=False)


def windows(place: Store) -> dict[str, list[bytes]]:
    """Return the parts of every window in the inbox; each has its signal and nothing else."""
    inbox = place.config.area_path("3a")
    found: dict[str, list[bytes]] = {}
    for one in waiting_folders(inbox):
        assert one.signal is not None and one.signal.adapter == "json", one.problem
        parts: list[bytes] = []
        for folder, _, names in os.walk(one.folder):
            for name in sorted(set(names) - {"_READY.json", "_received.lines"}):
                with open(os.path.join(folder, name), "rb") as file:
                    parts.append(file.read())
        found[os.path.basename(one.folder)] = parts
    return found


def uploaded(opened: Receiver, *files: tuple[str, str, bytes]) -> Upload:
    """Return an upload of files: what their parts are called, their names, their bytes."""
    upload = opened.upload()
    for part, name, data in files:
        upload.begin(part, name, None)
        upload.write(data)
        upload.end()
    return upload


def uploads(place: Store) -> list[str]:
    """Return what lies in the inbox of requests that are not in their windows."""
    folder = os.path.join(place.config.area_path("3a"), UPLOADS)
    return os.listdir(folder) if os.path.isdir(folder) else []


def come_in(place: Store) -> list[bytes]:
    with Receiver(place.config_path) as opened:
        opened.tick(LATER_S)
    return [part for parts in windows(place).values() for part in parts]


def test_requests_are_gathered_and_are_a_folder_of_the_inbox(place: Store):
    with Receiver(place.config_path) as opened:
        one, _ = opened.accept("ann", "pets", b'{"id": 1,  "name": "Rex"}')
        two, _ = opened.accept("ann", "pets", b'[{"id": 2}, {"id":3}]')
        lines, _ = opened.accept("ann", "pets", b'{"id": 4}\r\n\n{"id": 5}', is_lines=True)
        other, _ = opened.accept("ben", "pets", b'{"id": 6}')
        assert one.system_ids(9) == [hashlib.sha256(b'{"id": 1,  "name": "Rex"}').hexdigest()]
        assert (two.count, lines.count, len(two.system_ids(1))) == (2, 2, 1)
        opened.tick()
        assert windows(place) == {} and one.window == "", "more may come"
        opened.tick(LATER_S)
        assert one.window == two.window == lines.window != other.window
        assert (one.first_place, two.first_place, lines.first_place) == (0, 1, 3)
    found = windows(place)
    bodies = [b'{"id": 1,  "name": "Rex"}', b'{"id": 2}', b'{"id":3}', b'{"id": 4}', b'{"id": 5}']
    assert found == {one.window: bodies, other.window: [b'{"id": 6}']}
    assert os.path.isdir(os.path.join(place.config.area_path("3a"), one.window, "pets"))
    assert {each.signal.user for each in waiting_folders(place.config.area_path("3a"))
            if each.signal} == {"ann", "ben"}  # fmt: skip
    with Receiver(place.config_path) as opened:
        opened.tick(LATER_S)
        again = opened.find(two.request_id)
        assert again is not None and again.system_ids(9) == two.system_ids(9)
        assert (again.window, again.first_place) == (two.window, 1)
    assert windows(place) == found, "nothing comes twice"


@pytest.mark.fault
def test_what_came_in_and_was_freed_is_not_laid_out_again(place: Store):
    with Receiver(place.config_path) as opened:
        opened.accept("ann", "pets", b'{"id": 1}')
        opened.tick(LATER_S)
    (name,) = windows(place)
    folder = os.path.join(place.config.area_path("3a"), name)
    # As freeing the inbox leaves it when it is killed before the last folder is gone.
    os.unlink(os.path.join(folder, "pets", "000001.json"))
    os.unlink(os.path.join(folder, "_READY.json"))
    with Receiver(place.config_path) as opened:
        opened.tick(LATER_S)
    assert os.listdir(folder) == ["pets"]
    shutil.rmtree(folder)
    assert come_in(place) == []


@pytest.mark.fault
def test_a_key_is_one_request_also_after_a_restart(place: Store):
    with Receiver(place.config_path) as opened:
        first, is_repeated = opened.accept("ann", "pets", b'{"id": 1}', key="k")
        assert not is_repeated
        assert opened.accept("ann", "pets", b'{"id": 1}', key="k") == (first, True)
        assert opened.accept("ben", "pets", b'{"id": 1}', key="k")[1] is False
        for source, body in (("pets", b'{"id": 2}'), ("cars", b'{"id": 1}')):
            with pytest.raises(KeyReusedError):
                opened.accept("ann", source, body, key="k")
    for _ in range(2):  # Gathered, and in a window.
        with Receiver(place.config_path) as opened:
            again, is_repeated = opened.accept("ann", "pets", b'{"id": 1}', key="k")
            assert is_repeated and again.request_id == first.request_id
            opened.tick(LATER_S)
    assert sorted(come_in(place)) == [b'{"id": 1}'] * 2


@pytest.mark.fault
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[" * (10 << 20), "nested deeper|values"),
        (b'{"a":' * 100_000, "nested deeper"),
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'[{"a": 1}, {"a": NaN}]', "object 2: NaN is no JSON"),
        (b'{"a": 1e400}', "beyond the largest number"),
        (b'{"a": "\\ud800"}', "lone surrogate"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": "\xff"}', "no UTF-8, at byte 7"),
        (b'{"a": 1', "no valid JSON"),
        (b"[1]", "object 1: no object"),
        (b"[]", "no JSON object"),
        (b"", "no valid JSON"),
        (b"[" + b'{"a":1},' * 5_000 + b"{}]", "more than 5,000 objects"),
        (json.dumps({"a": "x" * (1 << 20)}).encode(), "an object of at most"),
    ],
    ids=lambda value: str(value[:12]),
)
def test_what_cannot_be_taken_is_told_and_nothing_of_it_is(place: Store, body: bytes, told: str):
    with Receiver(place.config_path) as opened, pytest.raises(UsageError, match=told):
        opened.accept("ann", "pets", body, key="k")
    assert come_in(place) == []
    with Receiver(place.config_path) as opened:
        assert opened.accept("ann", "pets", b"{}", key="k")[1] is False, "the key is free"


@pytest.mark.fault
def test_what_no_column_holds_is_refused_and_others_go_on(place: Store):
    odd = ({"a": "\ud800"}, {"a": "\0"}, {"a": float("nan")})
    with Receiver(place.config_path) as opened:
        for context in odd:
            with pytest.raises(UsageError, match="what is said of the parts"):
                opened.accept("ann", "pets", b"{}", said=Said(upload_context=context))
        with pytest.raises(UsageError, match="what is said of the parts"):
            opened.accept("ann", "pets", b"{}", said=Said(comments="\0"))
        opened.accept("ann", "pets", b"{}")
        opened.tick(LATER_S)
    assert come_in(place) == [b"{}"]


@pytest.mark.parametrize("source", ["", "Pets", "../up", "a" * 41, "ä", "reddit", "plain-folder"])
def test_a_source_that_is_none(place: Store, source: str):
    with Receiver(place.config_path) as opened, pytest.raises(UsageError):
        opened.accept("ann", source, b"{}")


@pytest.mark.fault
def test_a_full_ssd_takes_nothing_and_one_process_receives(
    place: Store, monkeypatch: pytest.MonkeyPatch
):
    with Receiver(place.config_path) as opened:
        with pytest.raises(JournalBusyError):
            Receiver(place.config_path)
        monkeypatch.setattr(room_module, "FULL_SHARE", 0.0)
        with pytest.raises(SpaceError, match="nothing was taken"):
            opened.accept("ann", "pets", b"{}", key="k")
        monkeypatch.undo()
        assert opened.accept("ann", "pets", b"{}", key="k")[1] is False
    assert come_in(place) == [b"{}"]


def test_files_lie_in_the_window_of_their_request(place: Store):
    with Receiver(place.config_path) as opened:
        upload = uploaded(opened, ("photo1", "A cat.JPG", b"cat"), ("files[]", "notes", b"notes"))
        body = b'[{"image": "part:photo1"}, {"more": ["part:notes"]}]'
        said = Said(tags=("cats",), priority=3, upload_context={"run": 7})
        first, _ = opened.accept("ann", "pets", body, key="k", said=said, upload=upload)
        keys = [hashlib.sha256(data).hexdigest() for data in (b"cat", b"notes")]
        assert first.count == 4 and first.system_ids(9)[2:] == keys
        again = uploaded(opened, ("photo1", "A cat.JPG", b"cat"), ("files[]", "notes", b"notes"))
        got = opened.accept("ann", "pets", body, key="k", said=said, upload=again)
        assert got == (first, True) and uploads(place) == [first.request_id]
        other = uploaded(opened, ("photo1", "A cat.JPG", b"cat!"))
        with pytest.raises(KeyReusedError):
            opened.accept("ann", "pets", b"", key="k", said=said, upload=other)
    with Receiver(place.config_path) as opened:
        assert uploads(place) == [first.request_id], "it waits for its window"
        opened.tick()
        known = opened.find(first.request_id)
        assert known is not None and known.said == said and known.window, "it waits for no others"
    (parts,) = windows(place).values()
    assert parts == [b'{"image": "part:photo1"}', b'{"more": ["part:notes"]}', b"cat", b"notes"]
    assert uploads(place) == []
    folder = os.path.join(place.config.area_path("3a"), known.window)
    assert sorted(os.listdir(os.path.join(folder, "pets")))[2:] == ["000003.jpg", "000004"]
    with open(os.path.join(folder, "_received.lines"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert [line.get("named") for line in lines[:2]] == [
        {"photo1": "pets/000003.jpg"}, {"notes": "pets/000004"},
    ]  # fmt: skip
    assert lines[2]["file_name"] == "A cat.JPG" and lines[2]["tags"] == ["cats"]
    assert lines[0]["context"] == {"run": 7}


def test_what_says_another_priority_is_another_window(place: Store):
    with Receiver(place.config_path) as opened:
        for number, priority in enumerate((None, 9, None, 9, 4, 2)):
            body, said = b'{"id": %d}' % number, Said(priority=priority)
            opened.accept("ann", "pets", body, said=said)
        opened.tick()
        assert list(windows(place).values()) == [[b'{"id": 5}']], "up to 3 it waits for no others"
        opened.tick(LATER_S)
    inbox = place.config.area_path("3a")
    found = {
        priority_of(os.path.join(inbox, name)): parts for name, parts in windows(place).items()
    }
    assert found == {
        None: [b'{"id": 0}', b'{"id": 2}'],
        9: [b'{"id": 1}', b'{"id": 3}'],
        4: [b'{"id": 4}'],
        2: [b'{"id": 5}'],
    }


def test_journals_in_which_a_priority_is_a_word_are_read(place: Store):
    """As the release before numbers wrote them: gathered, in a window, and asked for again."""
    keyed = {"request": "a" * 32, "key": "k", "time_s": time.time(), "said": {"priority": "high"}}
    keyed["digest"] = "2b46b08b1a5718bbfbc4dc9e1772311b9d12073e3fb52ff1ff9ec3c9e14dbd3b"
    record = {**keyed, "account": "ann", "source": "pets", "sizes": [9]}
    folder = os.path.join(place.config.ssd, FOLDER)
    with Receiver(place.config_path):
        pass
    with contextlib.closing(Journal(os.path.join(folder, "requests"))) as journal:
        journal.append(json.dumps(record).encode() + b'\n{"id": 1}')
    high, normal = Said(priority=3), Said()
    with Receiver(place.config_path) as opened:
        known, is_repeated = opened.accept("ann", "pets", b'{"id": 1}', key="k", said=high)
        assert is_repeated and known.request_id == "a" * 32 and known.said == high
        with pytest.raises(KeyReusedError):
            opened.accept("ann", "pets", b'{"id": 1}', key="k", said=normal)
        opened.tick()
        assert list(windows(place).values()) == [[b'{"id": 1}']], "it waits for no others"
    requests = [{**keyed, "account": "ann", "sequence": 1, "keys": known.keys.hex()}]
    window = {"window": "received-before", "account": "ann", "source": "pets", "time_s": 1e12}
    with contextlib.closing(Journal(os.path.join(folder, "windows"))) as journal:
        journal.append(json.dumps({**window, "requests": requests}).encode())
        journal.append(json.dumps({"published": "received-before"}).encode())
    with Receiver(place.config_path) as opened:
        again = opened.find("a" * 32)
        assert again is not None and again.said == high
    line = {"path": "pets/000001.json", "request": "a" * 32, "account": "ann", "source": "pets"}
    assert Line.model_validate({**line, "priority": "normal"}).priority is None
    assert Line.model_validate({**line, "priority": "high"}).priority == 3


@pytest.mark.fault
@pytest.mark.parametrize(
    ("body", "names", "told"),
    [
        (b'{"image": "part:b"}', ("a",), "the request has no such file"),
        (b'{"image": "part:a"}', ("a", "a"), "2 files have that name"),
        (b'{"image": ', ("a",), "no valid JSON"),
        (b"", (), "no valid JSON"),
    ],
)
def test_what_is_refused_leaves_no_file(
    place: Store, body: bytes, names: tuple[str, ...], told: str
):
    with Receiver(place.config_path) as opened:
        upload = uploaded(opened, *((name, f"{name}.jpg", b"x") for name in names))
        with pytest.raises(UsageError, match=told):
            opened.accept("ann", "pets", body, key="k", upload=upload)
        assert uploads(place) == []
        for name in ("../up", "a/b", "a\\b", "", "..", "a\nb", "n" * 300):
            with pytest.raises(UsageError, match="name of a file"):
                opened.upload().begin("files[]", name, None)


@pytest.mark.fault
def test_an_upload_ends_at_the_quota_of_the_inbox(place: Store):
    with Receiver(place.config_path) as opened:
        opened.room = room_module.Room(place.config.area_path("3a"), place.config.ssd, 1 << 20)
        upload = opened.upload()
        upload.begin("files[]", "endless.bin", None)
        with pytest.raises(SpaceError, match="inbox"):
            for _ in range(100):
                upload.write(bytes(64 << 10))
        upload.discard()
    assert uploads(place) == []


def test_old_windows_are_forgotten_when_no_request_of_them_can_be_read(
    place: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("base.journal.journal.SEGMENT_BYTES", 100)
    with Receiver(place.config_path) as opened:
        old, _ = opened.accept("ann", "pets", b'{"id": 1}')
        opened.tick(LATER_S)
        opened.accept("ann", "pets", b'{"id": 2}')
        opened.tick(LATER_S)
    monkeypatch.setattr(receiver_module, "KEPT_S", -1.0)
    for _ in range(2):
        with Receiver(place.config_path) as opened:
            opened.tick(LATER_S)
    with Receiver(place.config_path) as opened:
        assert opened.find(old.request_id) is None
    assert sorted(come_in(place)) == [b'{"id": 1}', b'{"id": 2}']


def test_of_so_many_requests_the_newest_are_known_and_none_that_waits_is_lost(
    place: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(receiver_module, "KEPT_MAX", 3)
    bodies = [b'{"id": %d}' % number for number in range(6)]
    with Receiver(place.config_path) as opened:
        came = [opened.accept("ann", "pets", one, key=str(one))[0] for one in bodies[:5]]
        opened.tick(0.0)
        assert len(opened.newest()) == 5, "these wait"
        opened.tick(LATER_S)
        assert {one.request_id for one in opened.newest()} == {one.request_id for one in came[2:]}
        assert opened.of_key("ann", str(bodies[4])) is came[4]
        assert opened.of_key("ann", str(bodies[0])) is None
    with Receiver(place.config_path) as opened:
        assert len(opened.newest()) == 3
        opened.accept("ann", "pets", bodies[5])
    assert sorted(come_in(place)) == bodies


@pytest.mark.fault
def test_files_of_a_record_that_may_be_read_again_stay_till_another_has_its_number(
    place: Store, monkeypatch: pytest.MonkeyPatch
):
    """Its sync fails while one before it, which was made durable, is on its way to be told."""
    append, sync, failing = Journal.append, os.fdatasync, list[Upload]()

    def fail(file: int) -> None:
        if failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(file)

    def append_and_fail_another(journal: Journal, *payloads: bytes) -> list[int]:
        numbers = append(journal, *payloads)
        if failing or os.path.basename(journal.folder) != "requests" or numbers != [1]:
            return numbers
        failing.append(uploaded(opened, ("f", "a.bin", b"of the second")))
        with pytest.raises(JournalError):
            opened.accept("ann", "pets", b"", upload=failing[0])
        failing.clear()
        return numbers

    monkeypatch.setattr(os, "fdatasync", fail)
    monkeypatch.setattr(Journal, "append", append_and_fail_another)
    with Receiver(place.config_path) as opened:
        opened.accept("ann", "pets", b'{"id": 1}')
        assert len(uploads(place)) == 1
    # A crash now: its record is whole in the file, and counts.
    assert sorted(come_in(place)) == [b"of the second", b'{"id": 1}']


# ---- Killed at every barrier -----------------------------------------------------------------


BARRIERS = ("fdatasync", "fsync", "rename", "pwrite", "unlink", "link")


def receive_and_die(place: Store, said: int, kill_at: int) -> None:
    """Receive in two windows, and be killed before one system call; never returns."""
    calls = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in BARRIERS:
        setattr(os, name, counted(getattr(os, name)))
    with Receiver(place.config_path) as opened:
        for number in range(4):
            upload = uploaded(opened, ("a", "a.bin", b"file %d" % number))
            body = b'[{"id": %d}, {"of": %d}]' % (number, number)
            opened.accept("ann", "pets", body, upload=upload)
            os.write(said, b"%d\n" % number)
            if number % 2:
                opened.tick(LATER_S)
    os._exit(0)


def kills(place: Store) -> Iterator[tuple[int, list[int]]]:
    """Kill a receiver at its first call, its second and so on; yields what it had told."""
    for kill_at in range(1, 400):
        shutil.rmtree(os.path.join(place.config.ssd, FOLDER), ignore_errors=True)
        for name in os.listdir(place.config.area_path("3a")):
            if PREFIX in name or name == UPLOADS:
                shutil.rmtree(os.path.join(place.config.area_path("3a"), name))
        said, child_said = os.pipe()
        child = os.fork()
        if not child:
            try:
                receive_and_die(place, child_said, kill_at)
            finally:
                os._exit(9)
        os.close(child_said)
        with os.fdopen(said, "rb") as file:
            told = [int(line) for line in file.read().split()]
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), status
        yield kill_at, told
        if status == 0:
            return
    raise AssertionError("it never ended")


@pytest.mark.fault
def test_killed_at_every_barrier_what_was_told_comes_in_once(place: Store):
    count, told = 0, [-1]
    for kill_at, told in kills(place):
        count += 1
        come_in(place)
        parts = [part for one in windows(place).values() for part in one]
        assert len(parts) == len(set(parts)), f"twice, killed at {kill_at}"
        wanted = {b'{"%s": %d}' % (key, number) for number in told for key in (b"id", b"of")}
        wanted |= {b"file %d" % number for number in told}
        assert wanted <= set(parts), f"lost, killed at {kill_at}"
        assert uploads(place) == [], f"left over, killed at {kill_at}"
        hidden = [name for name in os.listdir(place.config.area_path("3a")) if PREFIX in name]
        assert sorted(hidden) == sorted(windows(place)), f"left over, killed at {kill_at}"
    assert told == [0, 1, 2, 3] and count > 20
