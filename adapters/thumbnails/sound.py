"""Pictures of sounds: the cover that lies in the file, or else how loud it is over its length."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

BARS = 96
RATE_HZ = 4_000
"""Enough to see loudness by."""
SECONDS_MAX = 1_800.0
"""So much of a sound is looked at."""
SHAPE = (4, 3)
_BACKGROUND, _INK = (27, 33, 44), (122, 162, 247)


def drawn(path: str, edge_px: int) -> Image.Image | str:
    """Return a picture of a sound, or why there is none."""
    import av

    with av.open(path, options={"protocol_whitelist": "file"}) as container:
        if container.streams.video:
            for frame in container.decode(video=0):
                return frame.to_image()
        if not container.streams.audio:
            return "there is no sound in it"
        loudness = _loudness(container)
    if not loudness.size:
        return "there is no sound in it"
    return _waveform(loudness, edge_px)


def _loudness(container: Any) -> NDArray[np.float32]:
    """Return the loudest moment of each tenth of a second, 0 to 1."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    step, parts, left = RATE_HZ // 10, list[Any](), SECONDS_MAX * RATE_HZ
    for frame in container.decode(audio=0):
        for part in resampler.resample(frame):
            parts.append(np.abs(part.to_ndarray().reshape(-1).astype(np.float32)) / 32_768)
            left -= parts[-1].size
        if left <= 0:
            break
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    padded = np.pad(samples, (0, -samples.size % step))
    return padded.reshape(-1, step).max(axis=1) if samples.size else samples


def _waveform(loudness: NDArray[np.float32], edge_px: int) -> Image.Image:
    width, height = edge_px, edge_px * SHAPE[1] // SHAPE[0]
    picture = Image.new("RGB", (width, height), _BACKGROUND)
    drawing = ImageDraw.Draw(picture)
    ends = np.linspace(0, loudness.size, min(BARS, loudness.size) + 1).astype(int)
    bars = [float(loudness[begin:end].max()) for begin, end in pairwise(ends)]
    loudest = max(max(bars), 1e-4)
    step = width / len(bars)
    for number, bar in enumerate(bars):
        half = max(1.0, bar / loudest * height * 0.42)
        left, right = number * step, max(number * step, (number + 0.7) * step - 1)
        drawing.rectangle((left, height / 2 - half, right, height / 2 + half), fill=_INK)
    return picture
