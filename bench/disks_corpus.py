"""The corpora of `bench.disks`: it owns their sizes, their files, and which half is wanted.

Every file is unique and incompressible, in folders of 500, so that nobody gains by deduplication.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

FILES_PER_FOLDER = 500
MEDIAN_BYTES = 24_000
SIGMA = 0.95
"""Of the log-normal: its mean is then 38 KB."""
MIDDLE_SHARE, LARGE_SHARE = 0.04, 0.01
MIDDLE_BYTES = (300_000, 3_000_000)
LARGE_BYTES = (8_000_000, 32_000_000)
SEED = 20261121


@dataclass(slots=True)
class Corpus:
    """Files below `folder` by relative path in the order they were made, with their sizes."""

    name: str
    folder: str
    sizes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes.values())

    def half(self) -> list[str]:
        """A random half of the files, in the order they were made."""
        paths = list(self.sizes)
        chosen = np.random.default_rng(SEED).permutation(len(paths))[: len(paths) // 2]
        return [paths[number] for number in sorted(chosen.tolist())]


def sizes(name: str, count: int) -> list[int]:
    """Sizes in bytes: `mixed` (95 % small, 4 % 0.3-3 MB, 1 % 8-32 MB) or `small`, the 95 % alone.

    Each kind has exactly its share, so that a small corpus has the mean of a large one.
    """
    rng = np.random.default_rng(SEED + count)
    middle = round(count * MIDDLE_SHARE) if name == "mixed" else 0
    large = round(count * LARGE_SHARE) if name == "mixed" else 0
    parts = [
        rng.lognormal(np.log(MEDIAN_BYTES), SIGMA, count - middle - large),
        _spread(rng, MIDDLE_BYTES, middle),
        _spread(rng, LARGE_BYTES, large),
    ]
    return [int(size) for size in rng.permutation(np.concatenate(parts))]


def make_corpus(name: str, count: int, folder: str) -> Corpus:
    """Write a corpus of `count` files below `folder`."""
    corpus = Corpus(name, folder)
    rng = np.random.default_rng(SEED)
    for number, size in enumerate(sizes(name, count)):
        path = f"{number // FILES_PER_FOLDER:04d}/{number:07d}.jpg"
        full = os.path.join(folder, path)
        if number % FILES_PER_FOLDER == 0:
            os.makedirs(os.path.dirname(full))
        with open(full, "wb") as file:
            file.write(rng.bytes(size))
        corpus.sizes[path] = size
    return corpus


def _spread(rng: np.random.Generator, limits: tuple[int, int], count: int) -> np.ndarray:
    # Stratified: the sum of few large files would differ much from one count to the next.
    places = (np.arange(count) + rng.random(count)) / max(count, 1)
    return np.exp(np.log(limits[0]) + places * np.log(limits[1] / limits[0]))
