"""The flush boundaries of a log: what is cut at them, and that nothing lies between them."""

from __future__ import annotations

import math
import os
import random
from itertools import pairwise

from .flush_cuts import GrowingImage, boundaries, plan
from .write_log import KIND_FLUSH, KIND_WRITE, MODES, RECORD, replay

SIZE_BYTES = 64 * 1024
RECORDS = 60


def write_log(path: str, chance: random.Random) -> list[tuple[int, int]]:
    """Write a log of writes and flushes; returns (time, kind) of each."""
    told: list[tuple[int, int]] = []
    with open(path, "wb") as file:
        for number in range(RECORDS):
            kind = KIND_FLUSH if chance.random() < 0.4 else KIND_WRITE
            data = chance.randbytes(chance.randint(1, 9000)) if kind == KIND_WRITE else b""
            time_ns = (told[-1][0] if told else 100) + chance.randint(2, 50)
            offset = chance.randrange(SIZE_BYTES - len(data))
            file.write(RECORD.pack(number + 1, time_ns, offset, len(data), kind) + data)
            told.append((time_ns, kind))
    return told


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def test_an_image_that_grows_is_the_one_made_from_the_whole_log(tmp_path):
    log, grown, cut, whole = (str(tmp_path / name) for name in ("log", "grown", "cut", "whole"))
    chance = random.Random("grown")
    told = write_log(log, chance)
    image = GrowingImage(log, grown, SIZE_BYTES)
    for time_ns in range(told[0][0] - 1, told[-1][0] + 2, 31):
        for mode in MODES:
            image.cut(time_ns, time_ns, mode, cut)
            replay(log, whole, SIZE_BYTES, time_ns, time_ns, mode)
            assert content(cut) == content(whole), (time_ns, mode)


def test_what_is_lost_between_two_boundaries_is_lost_at_the_second(tmp_path):
    """So the boundaries stand for every moment of the life."""
    chance = random.Random("between")
    logs = [str(tmp_path / name) for name in ("one", "two")]
    told = [write_log(log, chance) for log in logs]
    begin_ns, end_ns = 99, max(times[-1][0] for times in told) + 10
    found = boundaries(logs, begin_ns, end_ns)
    flushes = sum(kind == KIND_FLUSH for times in told for _, kind in times)
    assert len(logs) < len(found) < flushes
    for moment_ns in range(begin_ns, end_ns, 11):
        later = next(one for one in found if one.time_ns >= moment_ns)
        assert images(logs, moment_ns) == images(logs, later.time_ns)
    different = [images(logs, one.time_ns) for one in found]
    assert all(one != two for one, two in pairwise(different))


def images(logs: list[str], time_ns: int) -> list[bytes]:
    made = []
    for log in logs:
        replay(log, f"{log}-image", SIZE_BYTES, time_ns, 0, "lost")
        made.append(content(f"{log}-image"))
        os.unlink(f"{log}-image")
    return made


def test_a_plan_takes_every_boundary_twice_or_every_nth_once(tmp_path):
    log = str(tmp_path / "log")
    told = write_log(log, random.Random("plan"))
    found = boundaries([log], 0, told[-1][0] + 1)
    lost = ((0, "lost"),)
    whole = plan(found, 0, "s", 1)
    assert [number for number, _ in whole[::2]] == [one.number for one in found]
    assert {fates for _, fates in whole[::2]} == {lost}
    assert len({fates for _, fates in whole[1::2]}) == len(found)
    some = plan(found, 4, "s", 1)
    assert 2 <= len(some) <= 4
    step = math.ceil(len(found) / 4)
    assert len({number - turn * step for turn, (number, _) in enumerate(some)}) == 1
    # The same fates as in the whole plan: what a share finds is found again.
    assert set(some) <= set(whole)
    assert plan(found, 4, "s", 1) == some
    assert len({plan(found, 4, f"s{n}", 1)[0][0] for n in range(20)}) > 1
