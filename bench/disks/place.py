"""Where a store's bytes lie on the emulated disks: it owns what the bounds are computed from.

The rates are the true ones: of the model, at the very tracks where the filesystem put a file.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fsd.disks.config import Config
from fsd.format.index_rows import ShardRow
from fsd.format.layout import shard_path
from fsd.store.generation import current_generation
from fsd.store.index import Index, IndexReader
from tests.lab import HddModel

FIEMAP = 0xC020660B
FIEMAP_SYNC = 1
EXTENTS_MAX = 512
_HEADER = struct.Struct("=QQLLLL")
_EXTENT = struct.Struct("=QQQQQLLLL")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """The shards of a store, the disks (indices) that hold each, and the rates there.

    `rates` is (shards, disks): where a shard does not lie, the disk's mean over what it holds,
    or its outer edge when it is empty.
    `numbers` are the index's numbers of the shards, in order.
    """

    shards: list[ShardRow]
    holders: list[list[int]]
    rates: Floats
    numbers: dict[int, int]

    def disk_bytes(self) -> list[int]:
        """Bytes of shards on every disk."""
        found = [0] * self.rates.shape[1]
        for row, held in zip(self.shards, self.holders, strict=True):
            for disk in held:
                found[disk] += row.length_bytes
        return found

    def rates_of_new(self, former: Placement) -> list[float]:
        """Mean rate of every disk where that lies which it did not hold formerly.

        Of all that it holds where it got nothing.
        """
        ids = (row.shard_id for row in former.shards)
        held_before = dict(zip(ids, former.holders, strict=True))
        new = [
            [disk for disk in held if disk not in held_before.get(row.shard_id, ())]
            for row, held in zip(self.shards, self.holders, strict=True)
        ]
        got = {disk for held in new for disk in held}
        pairs = zip(
            Placement(self.shards, new, self.rates, {}).disk_rates(), self.disk_rates(), strict=True
        )
        return [rate if disk in got else mean for disk, (rate, mean) in enumerate(pairs)]

    def disk_rates(self) -> list[float]:
        """Mean rate of every disk where its shards lie, bytes per second."""
        sizes = np.array([row.length_bytes for row in self.shards], dtype=np.float64)
        rates: list[float] = []
        for disk in range(self.rates.shape[1]):
            mine = np.array([disk in held for held in self.holders])
            seconds = (sizes[mine] / self.rates[mine, disk]).sum()
            rates.append(float(sizes[mine].sum() / seconds) if seconds else 1.0)
        return rates


def read_placement(
    config: Config, models: Sequence[HddModel], lost: Collection[int] = ()
) -> Placement:
    """Read the index and ask the filesystems where the shards lie; `lost` disks hold nothing."""
    with _reading(config) as reader:
        shards = list(reader.shards())
    disk_ids = [disk.disk_id for disk in config.disk]
    paths = [disk.path for disk in config.disk]
    known = [[disk_ids.index(disk) for disk in row.disks] for row in shards]
    known = [[disk for disk in held if disk not in lost] for held in known]
    rates = np.full((len(shards), len(models)), np.nan)
    for number, (row, held) in enumerate(zip(shards, known, strict=True)):
        for disk in held:
            extents = file_extents(shard_path(paths[disk], row.shard_id))
            rates[number, disk] = mean_rate(models[disk], extents)
    for model, column in zip(models, rates.T, strict=True):
        known_rates = column[~np.isnan(column)]
        empty = model.rate_outer_bytes_per_s
        column[np.isnan(column)] = 1 / (1 / known_rates).mean() if len(known_rates) else empty
    numbers = {row.number: place for place, row in enumerate(shards)}
    return Placement(shards, known, rates, numbers)


def wanted_by_shard(config: Config, keys: Iterable[str], placement: Placement) -> list[int]:
    """Payload bytes wanted of every shard, in the placement's order."""
    wanted: Counter[int] = Counter()
    with _reading(config) as reader:
        for key in keys:
            location = reader.locate(bytes.fromhex(key))
            assert location is not None
            wanted[placement.numbers[location.shard_number]] += location.length_bytes
    return [wanted[number] for number in range(len(placement.shards))]


def mean_rate(model: HddModel, extents: Iterable[tuple[int, int]]) -> float:
    """Bytes per second of reading these (place, length) one after the other, without seeks."""
    size = seconds = 0.0
    for place, length in extents:
        size += length
        seconds += model.sequential_s(place, length)
    return size / seconds


def file_extents(path: str) -> list[tuple[int, int]]:
    """(place on the device, length) of a file's extents, in the file's order; ext4 only."""
    buffer = bytearray(_HEADER.size + EXTENTS_MAX * _EXTENT.size)
    _HEADER.pack_into(buffer, 0, 0, (1 << 64) - 1, FIEMAP_SYNC, 0, EXTENTS_MAX, 0)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, FIEMAP, buffer)
    finally:
        os.close(descriptor)
    count = _HEADER.unpack_from(buffer)[3]
    found = [
        _EXTENT.unpack_from(buffer, _HEADER.size + n * _EXTENT.size)[1:3] for n in range(count)
    ]
    return [(place, length) for place, length in found]


@contextmanager
def _reading(config: Config) -> Generator[IndexReader]:
    generation = current_generation(config.index_root)
    assert generation is not None
    # Closed again each time: LMDB must not be opened twice in one process.
    index = Index(config.index_root, generation, readonly=True)
    try:
        with index.read() as reader:
            yield reader
    finally:
        index.close()
