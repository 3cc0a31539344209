"""Flip bits of an index one by one: `flip_child.py FOLDER SEED FLIPS`, for `test_index_check`.

Each flip is looked at by a process of its own, which a damaged LMDB file may kill. It asks for all
that the index says, and prints one line for each flip: what was made of it.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

from fsd.format.errors import CorruptError, NotFoundError
from fsd.repair.index_check import check_order, check_rows
from fsd.store.index import BatchRow, DiskRow, Index, IndexReader, Location, ShardRow, ViewRow

OBJECTS, SHARDS, PARTS = 400, 4, 12
DAMAGED = "damaged"
BITS_KNOWN = (228_708,)
"""Flipped in each run: of the 20,000 flips of seed 5360c1e1 the one that was an error of its own
instead of damage. It is in LMDB's own length of a row."""
Answers = tuple[dict[str, Any], Any, bool]
SAME, FOUND, SERVED, UNSEEN = range(4)
WORDS = ("same", "found", "SERVED", "UNSEEN")


def key_of(number: int) -> bytes:
    return random.Random(number).randbytes(32)


def fill(index: Index) -> Iterator[None]:
    """Write it in one transaction a shard; yields after each."""
    for shard in range(1, SHARDS + 1):
        with index.write() as writer:
            row = ShardRow(writer.next_shard_number(), f"{shard:032x}", "raw", ["d1", "d2"], True)
            writer.put_shard(row)
            for number in range(shard, OBJECTS, SHARDS):
                writer.put_object(key_of(number), Location(shard, number * 4096, number))
            for name in ("first", "second"):
                batch = writer.batch(name) or BatchRow(name, "raw", 5, files=7, tree_file="t")
                for number in range(shard, PARTS, SHARDS):
                    writer.add_batch_part(batch, number, key_of(OBJECTS + number))
                writer.put_batch(batch)
            writer.add_spare(key_of(shard), Location(shard, 1, 1))
            writer.put_view(ViewRow("exports", f"e{shard}", "l", "ab" * 32, 5, "v", {"a": shard}))
            writer.put_disk(DiskRow(f"{shard:032x}", f"d{shard}", f"/mnt/{shard}", "online"))
            writer.put_meta("catalog_sequence", 100 + shard)
        yield


def questions() -> dict[str, Callable[[IndexReader], Any]]:
    """Return all that can be asked; an answer that is not there is an error to whoever asked."""
    asked: dict[str, Callable[[IndexReader], Any]] = {
        "batches": lambda reader: list(reader.batches()),
        "views": lambda reader: list(reader.views("exports")),
        "shards": lambda reader: list(reader.shards()),
        "disks": lambda reader: reader.disks(),
        "sequence": lambda reader: reader.meta("catalog_sequence"),
        "number": lambda reader: reader.meta("next_shard_number"),
    }
    for name in ("first", "second"):
        asked[f"batch {name}"] = lambda reader, name=name: reader.batch(name)
        asked[f"parts {name}"] = lambda reader, name=name: reader.batch_parts(name)
    for shard in range(1, SHARDS + 1):
        asked[f"shard {shard}"] = lambda reader, shard=shard: reader.shard(shard)
        asked[f"view {shard}"] = lambda reader, shard=shard: reader.view(f"exports/e{shard}/l")
    return asked


def places(reader: IndexReader) -> list[Any]:
    """Return what a scrub compares with the footers, of all objects and shards."""
    numbers = [reader.shard_number(f"{shard:032x}") for shard in range(1, SHARDS + 1)]
    found = [(reader.locate(key_of(n)), reader.spares(key_of(n))) for n in range(OBJECTS)]
    return [numbers, found]


def ask(index: Index, question: Callable[[IndexReader], Any]) -> Any:
    try:
        with index.read() as reader:
            return question(reader)
    except (CorruptError, NotFoundError):
        return DAMAGED


def answers(index: Index) -> Answers:
    told = {name: ask(index, question) for name, question in questions().items()}
    wrong = bool(check_rows(index) or check_order(index, lambda: None))
    return told, ask(index, places), wrong


def is_other(expected: Any, told: Any) -> bool:
    """Return whether an answer is neither right nor one that is not there."""
    if isinstance(expected, list) and isinstance(told, list):
        return any(one not in expected for one in told)
    return told not in (expected, DAMAGED, None)


def judge(folder: str, expected: Answers, older: Answers) -> tuple[int, str]:
    try:
        index = Index(folder, 1)
    except CorruptError:
        return FOUND, "not opened"
    told, there, wrong = answers(index)
    if (told, there) == older[:2]:
        # As after a crash: what it lacks of the catalog is taken in when it is opened.
        return FOUND, "before the last transaction"
    for name, one in told.items():
        if is_other(expected[0][name], one) or (name.startswith("parts") and one == []):
            return SERVED, f"{name}: {one} for {expected[0][name]}"
    if (told, there) == expected[:2]:
        return (FOUND if wrong else SAME), ""
    # What is not there is missed by whoever compares with catalog, footers and disks.
    missing = there != expected[1] or any(is_less(expected[0][name], told[name]) for name in told)
    return (FOUND if wrong or missing else UNSEEN), str(told)


def is_less(expected: Any, told: Any) -> bool:
    return told in (DAMAGED, None) or (isinstance(told, list) and len(told) < len(expected))


def bits_of(seed: str, good: bytes, flips: int) -> Iterator[int]:
    """Yield the bits that a seed flips."""
    rng = random.Random(seed)
    # Where nothing is written nothing can be damaged, but for the upper bytes of numbers.
    written = [offset for offset, byte in enumerate(good) if byte]
    for number in range(flips):
        offset = rng.choice(written) if number % 4 else rng.randrange(len(good))
        yield 8 * offset + rng.randrange(8)


def main(folder: str, seed: str, flips: str) -> None:
    index = Index(folder, 1)
    *_, older, expected = [answers(index) for _ in fill(index)]
    assert not expected[2]
    index.close()
    path = os.path.join(folder, "1", "data.mdb")
    with open(path, "rb") as file:
        good = file.read()
    for bit in (*BITS_KNOWN, *bits_of(seed, good, int(flips))):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        with open(path, "wb") as file:
            file.write(damaged)
        child = os.fork()
        if not child:
            try:
                verdict, why = judge(folder, expected, older)
                if verdict > FOUND:
                    print(WORDS[verdict], bit, why, flush=True)
            except BaseException as error:
                print("FAILED", bit, repr(error), flush=True)
                verdict = UNSEEN
            os._exit(verdict)
        status = os.waitpid(child, 0)[1]
        print("killed" if os.WIFSIGNALED(status) else WORDS[os.WEXITSTATUS(status)], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
