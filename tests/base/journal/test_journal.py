"""The journal: what was told durable is read again, once and in order, whatever comes between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from command import ROOT

from base.journal import journal
from base.journal.format import RECORD_BYTES_MAX, SEGMENT_HEADER, pack, segment_header
from base.journal.journal import Journal, JournalBusyError, JournalDamagedError, JournalError


@pytest.fixture
def folder(tmp_path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 200)
    return str(tmp_path / "journal")


def read(folder: str) -> dict[int, bytes]:
    with Journal(folder) as opened:
        records = list(opened.records())
    assert [one.sequence for one in records] == sorted({one.sequence for one in records})
    return {one.sequence: one.payload for one in records}


def segments(folder: str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".journal"))


def test_what_was_appended_is_read_in_order(folder: str):
    with Journal(folder) as opened:
        assert (opened.last, list(opened.records())) == (0, [])
        assert opened.append(b"one", b"") == [1, 2]
        assert opened.append(*(b"x" * size for size in range(40))) == list(range(3, 43))
        assert opened.last == 42
        assert [one.sequence for one in opened.records(after=40)] == [41, 42]
        opened.append(b"in a segment of its own")
    assert len(segments(folder)) == 2
    found = read(folder)
    assert list(found) == list(range(1, 44)) and found[1] == b"one" and found[42] == b"x" * 39
    with Journal(folder) as opened:
        assert opened.append(b"later") == [44]
    assert len(read(folder)) == 44


def test_golden_bytes():
    """As FORMAT.md has them: whoever changes this changes the version in the magic."""
    data = segment_header(7) + pack([b"hello", b""], 7, 6)
    assert data.hex() == (
        "44534a524e4c303107000000000000004560342d000000000000000000000000"
        "0500000095cd34780700000000000000060000000000000068656c6c6f000000"
        "000000009dddc75908000000000000000600000000000000"
    )


def test_many_threads_are_each_told_their_own_numbers(folder: str):
    told: dict[int, bytes] = {}
    with Journal(folder) as opened:

        def work(thread: int) -> None:
            for count in range(30):
                payloads = [b"%d:%d:%d" % (thread, count, part) for part in range(count % 3)]
                told.update(zip(opened.append(*payloads), payloads, strict=True))

        threads = [threading.Thread(target=work, args=[thread]) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert read(folder) == dict(sorted(told.items())) and len(told) == 8 * 30


def test_one_process_has_it(folder: str):
    with Journal(folder) as opened:
        opened.append(b"one")
        with pytest.raises(JournalBusyError, match="another process"):
            Journal(folder)
    with pytest.raises(JournalError, match="closed"):
        opened.append(b"two")
    with Journal(folder) as again, pytest.raises(JournalError, match="more than"):
        again.append(bytes(RECORD_BYTES_MAX + 1))


def test_what_is_forgotten_goes_by_segments_and_numbers_go_on(folder: str):
    with Journal(folder) as opened:
        for number in range(60):
            opened.append(b"%d" % number)
        before = len(segments(folder))
        opened.forget(through=30)
        assert len(segments(folder)) < before
        left = [one.sequence for one in opened.records()]
        assert 20 < left[0] <= 31 and left[-1] == 60
        opened.forget(through=60)
        assert opened.append(b"next") == [61]
    assert max(read(folder)) == 61 and len(segments(folder)) <= 3


@pytest.mark.fault
def test_a_power_cut_anywhere_behind_what_was_told(folder: str, tmp_path):
    """What was not synced is there, or not, or torn; what was told before is whole."""
    chance = random.Random(1)
    with Journal(folder) as opened:
        for number in range(7):
            opened.append(b"told" * number)
        (*_, name) = segments(folder)
        path = os.path.join(folder, name)
        durable = os.path.getsize(path)
    unsynced = pack([b"a" * 50, b"b" * 9, b"c"], 8, 7)
    with open(path, "rb") as file:
        whole = file.read()
    assert len(whole) == durable
    for case in range(len(unsynced) + 60):
        tail = bytearray(unsynced[:case])
        for _ in range(max(case - len(unsynced), 0)):
            tail[chance.randrange(len(tail))] ^= 1 << chance.randrange(8)
        copy = str(tmp_path / f"case{case}")
        os.makedirs(copy)
        for other in segments(folder):
            os.link(os.path.join(folder, other), os.path.join(copy, other))
        os.unlink(os.path.join(copy, name))
        with open(os.path.join(copy, name), "wb") as file:
            file.write(whole + tail)
        found = read(copy)
        assert {n: found[n] for n in range(1, 8)} == {n: b"told" * (n - 1) for n in range(1, 8)}
        assert set(found) <= set(range(1, 11))
        with Journal(copy) as opened:
            assert opened.append(b"after") == [max(found) + 1]
        assert read(copy) == {**found, max(found) + 1: b"after"}


@pytest.mark.fault
def test_a_flipped_bit_in_what_was_durable_is_told_and_nothing_is_cut_off(folder: str):
    with Journal(folder) as opened:
        for number in range(12):
            opened.append(b"payload %d" % number)
    names = segments(folder)
    assert len(names) > 2
    (*_, last) = names
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            whole = file.read()
        # Of the very last group nobody can tell a flipped bit from a write that never was.
        end = len(whole) if name != last else len(whole) - 40
        for place in range(end):
            is_filler = 20 <= place < SEGMENT_HEADER.size
            changed = bytearray(whole)
            changed[place] ^= 0x10
            with open(path, "wb") as file:
                file.write(changed)
            if is_filler or (place >= SEGMENT_HEADER.size and _is_padding(whole, place)):
                continue
            with pytest.raises(JournalDamagedError, match="damaged at byte"):
                read(folder)
        with open(path, "wb") as file:
            file.write(whole)
    assert len(read(folder)) == 12
    os.unlink(os.path.join(folder, names[1]))
    with pytest.raises(JournalDamagedError):
        read(folder)


def _is_padding(whole: bytes, place: int) -> bool:
    """Tell whether a byte is one of the zeros that fill up a record of `payload N`."""
    begin = SEGMENT_HEADER.size
    while begin < len(whole):
        size = int.from_bytes(whole[begin : begin + 4], "little")
        end = begin + 24 + size
        if end <= place < end + -size % 8:
            return True
        begin = end + -size % 8
    return False


_FULL = """
import resource, signal, sys
from base.journal.journal import Journal, JournalError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
with Journal(sys.argv[1]) as opened:
    for number in range(20):
        full = number % 4 == 2
        resource.setrlimit(resource.RLIMIT_FSIZE, (300 if full else hard, hard))
        try:
            print(*opened.append(b"%d" % number * 40), number)
        except JournalError as error:
            assert full and "File too large" in str(error), error
"""


@pytest.mark.fault
def test_a_disk_that_takes_only_half_of_a_record_loses_no_other(folder: str):
    command = [sys.executable, "-c", _FULL, folder]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    told = {int(n): payload for n, payload in map(str.split, said.stdout.splitlines())}
    assert len(told) >= 15
    found = read(folder)
    assert {n: found[n] for n in told} == {n: told[n].encode() * 40 for n in told}
    assert len(found) == len(told), "what was refused was not read, as its number was another's"


@pytest.mark.fault
@pytest.mark.seconds(10)
def test_killed_at_random_every_record_that_was_told_is_there_once(folder: str):
    program = os.path.join(ROOT, "tests", "kit", "run", "journal_child.py")
    chance = random.Random()
    told: dict[int, bytes] = {}
    for life in range(6):
        with subprocess.Popen(
            [sys.executable, program, folder, str(life)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": ROOT},
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(chance.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            lines = (first + process.stdout.read()).split(b"\n")[:-1]
        for line in lines:
            number, payload = line.split(b" ")
            assert int(number) not in told
            told[int(number)] = payload
        found = read(folder)
        assert {n: found[n] for n in told} == told
        assert len(set(found.values())) == len(found) and list(found) == [*range(1, len(found) + 1)]
    assert len(told) > 6
