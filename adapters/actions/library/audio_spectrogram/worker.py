"""Draws spectrograms of sound files, a PNG each. Knows folders only.

Time runs to the right, frequency upwards; brightness is the level in decibels. Long sounds are
averaged into the width of the picture.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

import av
import numpy as np
from av import logging
from av.container import InputContainer
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import each_input, new_file, stem_of  # pyright: ignore[reportMissingImports]

WINDOW = 1024
HOP = 512
RATE_HZ = 22_050
RANGE_DB = 80.0
INPUT_S = 3_600


class Spectrogram:
    """Draws `<stem>.png`."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.output: str = arguments.output
        self.width: int = arguments.width
        self.height: int = arguments.height

    def draw(self, path: str) -> None:
        """Draw one sound. Memory is bounded by the picture's width, not by the sound's length."""
        columns = Columns(2 * self.width)
        with av.open(path, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise ValueError("there is no sound in it")
            for spectrum in _spectra(container):
                columns.add(spectrum)
        power = columns.mean()
        if power.shape[1] == 0:
            raise ValueError("no sound can be decoded")
        level = 10 * np.log10(np.maximum(power, 1e-12))
        level = np.clip((level - level.max() + RANGE_DB) / RANGE_DB, 0, 1)
        picture = Image.fromarray((level[::-1] * 255).astype(np.uint8))
        picture = picture.resize((self.width, self.height), Image.Resampling.BILINEAR)
        with new_file(os.path.join(self.output, f"{stem_of(path)}.png")) as file:
            picture.save(file, "PNG", optimize=True)


class Columns:
    """Means of power spectra in at most `columns_max` columns; full, it joins them in pairs."""

    def __init__(self, columns_max: int) -> None:
        self._columns_max = columns_max
        self._done: list[NDArray[np.float64]] = []
        self._sum = np.zeros(WINDOW // 2 + 1)
        self._count = 0
        self._per_column = 1

    def add(self, spectrum: NDArray[np.float64]) -> None:
        """Count one spectrum."""
        self._sum = self._sum + spectrum
        self._count += 1
        if self._count < self._per_column:
            return
        self._done.append(self._sum / self._count)
        self._sum, self._count = np.zeros_like(self._sum), 0
        if len(self._done) == self._columns_max:
            pairs = zip(self._done[::2], self._done[1::2], strict=True)
            self._done = [(one + other) / 2 for one, other in pairs]
            self._per_column *= 2

    def mean(self) -> NDArray[np.float64]:
        """Return the columns, frequency first, the lowest first."""
        if self._count:
            self._done.append(self._sum / self._count)
        return np.array(self._done).reshape(-1, WINDOW // 2 + 1).T


def _spectra(container: InputContainer) -> Iterator[NDArray[np.float64]]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    window = np.hanning(WINDOW)
    rest = np.zeros(0)
    for frame in container.decode(container.streams.audio[0]):
        for part in resampler.resample(frame):
            values = np.nan_to_num(part.to_ndarray().reshape(-1).astype(np.float64))
            rest = np.concatenate([rest, values])
            while rest.size >= WINDOW:
                yield np.abs(np.fft.rfft(rest[:WINDOW] * window)) ** 2
                rest = rest[HOP:]
    if rest.size:
        padded = np.pad(rest, (0, WINDOW - rest.size))
        yield np.abs(np.fft.rfft(padded * window)) ** 2


def main() -> int:
    """Draw every file; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--width", type=int, choices=range(16, 8193), default=512, metavar="PX")
    parser.add_argument("--height", type=int, choices=range(16, 8193), default=256, metavar="PX")
    arguments = parser.parse_args()
    logging.set_level(logging.PANIC)
    draw = Spectrogram(arguments).draw
    return each_input(arguments.input, arguments.output, draw, seconds=INPUT_S)


if __name__ == "__main__":
    sys.exit(main())
