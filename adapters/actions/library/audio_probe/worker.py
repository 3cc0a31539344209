"""Measures sound files: duration, sample rate, channels, loudness. Knows folders only."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import Any

import av
import numpy as np
from av import logging
from av.filter import Graph

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import append, each_input  # pyright: ignore[reportMissingImports]

SILENCE_DB = -120.0
INPUT_S = 3_600


def probe(path: str) -> dict[str, Any]:
    """Return what is known of one sound file. Raises what PyAV raises."""
    with av.open(path, metadata_errors="replace") as container:
        if not container.streams.audio:
            raise ValueError("there is no sound in it")
        stream = container.streams.audio[0]
        levels = Levels()
        for frame in container.decode(stream):
            levels.add(frame)
        if levels.samples == 0:
            raise ValueError("no sound can be decoded")
        return {
            "file": os.path.basename(path),
            "codec": stream.codec_context.name,
            "container": container.format.name,
            "sample_rate_hz": levels.rate_hz,
            "channels": levels.channels,
            "duration_s": levels.samples / levels.rate_hz,
            "bit_rate_per_s": container.bit_rate or None,
            **levels.figures(),
        }


class Levels:
    """Peak, mean and loudness (EBU R 128, integrated) of the frames so far."""

    def __init__(self) -> None:
        self.samples = self.rate_hz = self.channels = 0
        self._peak = 0.0
        self._square_sum = 0.0
        self._values = 0
        self._loudness: float | None = None
        self._to_float = av.AudioResampler(format="fltp")
        self._graph: Graph | None = None

    def add(self, frame: av.AudioFrame) -> None:
        """Count one decoded frame."""
        for part in self._to_float.resample(frame):
            self.rate_hz, self.channels = part.sample_rate, part.layout.nb_channels
            values = part.to_ndarray().astype(np.float64)
            values = values[np.isfinite(values)]
            self.samples += part.samples
            self._values += values.size
            self._peak = max(self._peak, float(np.abs(values).max(initial=0.0)))
            self._square_sum += float((values * values).sum())
            self._measure_loudness(part)

    def _measure_loudness(self, part: av.AudioFrame) -> None:
        if self._graph is None:
            self._graph = Graph()
            source = self._graph.add_abuffer(
                sample_rate=part.sample_rate,
                format=part.format.name,
                layout=part.layout.name,
                time_base=part.time_base,
            )
            meter = self._graph.add("ebur128", "metadata=1")
            sink = self._graph.add("abuffersink")
            source.link_to(meter)
            meter.link_to(sink)
            self._graph.configure()
        self._graph.push(part)
        while True:
            try:
                measured = self._graph.pull()
            except (BlockingIOError, EOFError):
                return
            text = measured.metadata.get("lavfi.r128.I")
            self._loudness = float(text) if text else self._loudness

    def figures(self) -> dict[str, float | None]:
        """Return the levels in decibels of full scale, and the loudness in LUFS."""
        mean = math.sqrt(self._square_sum / self._values) if self._values else 0.0
        loudness = self._loudness
        return {
            "peak_dbfs": _decibels(self._peak),
            "mean_dbfs": _decibels(mean),
            # -70 is where the measure begins: quieter, or shorter than its window, is unknown.
            "loudness_lufs": loudness if loudness is not None and loudness > -70 else None,
        }


def _decibels(level: float) -> float:
    return max(SILENCE_DB, 20 * math.log10(level)) if level > 0 else SILENCE_DB


def main() -> int:
    """Probe every file; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    logging.set_level(logging.PANIC)
    results = os.path.join(arguments.output, "sounds.jsonl")
    return each_input(
        arguments.input,
        arguments.output,
        lambda path: append(results, probe(path)),
        seconds=INPUT_S,
    )


if __name__ == "__main__":
    sys.exit(main())
