"""Takes one frame of every scene of videos, or a few of the whole. Knows folders only.

With `--every-s` there is a frame for so many seconds, from the middle of as many pieces of equal
length, whatever the scenes are: the video is not decoded, only those places are. Without it a scene
begins where a frame differs from the one before by more than a threshold: the mean
difference of small grey pictures, as a share of the full range. A slow fade is found against the
last frame that was taken.
"""

from __future__ import annotations

import argparse
import os
import sys

import av
import numpy as np
from av import logging
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import append, each_input, new_file, stem_of  # pyright: ignore[reportMissingImports]

SMALL = (64, 36)
PIXELS_MAX = 50_000_000
FADE_SCALE = 1.5
"""Against the last taken frame the difference must be so much larger than against the last one."""
INPUT_S = 3_600


class KeyFrames:
    """Writes `<stem>/<number>.jpg` and a line with its time to frames.jsonl."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.output: str = arguments.output
        self.threshold: float = arguments.threshold
        self.scene_s_min: float = arguments.scene_s_min
        self.frames_max: int = arguments.frames_max
        self.every_s: float = arguments.every_s

    def take(self, path: str) -> None:
        """Take the frames of one video; those before a broken place are kept."""
        with av.open(path, metadata_errors="replace") as container:
            if not container.streams.video:
                raise ValueError("there is no picture in it")
            stream = container.streams.video[0]
            if stream.codec_context.width * stream.codec_context.height > PIXELS_MAX:
                raise ValueError(f"frames of more than {PIXELS_MAX} pixels")
            stream.thread_type = "AUTO"
            if self.every_s:
                count = self._spread(path, container, stream)
            else:
                count = self._scenes(path, container, stream)
        if count == 0:
            raise ValueError("no frame can be decoded")

    def _spread(self, path: str, container: InputContainer, stream: av.VideoStream) -> int:
        length_s = (container.duration or 0) / av.time_base
        pieces = max(1, min(self.frames_max, int(length_s / self.every_s)))
        begin, last_s, count = container.start_time or 0, -1.0, 0
        for piece in range(pieces):
            if length_s:
                container.seek(begin + int((piece + 0.5) * length_s / pieces * av.time_base))
            frame = next(container.decode(stream), None)
            # What can be sought to may be further apart.
            if frame is None or float(frame.time or 0.0) <= last_s:
                continue
            last_s = float(frame.time or 0.0)
            self._keep(path, frame, count, last_s)
            count += 1
        return count

    def _scenes(self, path: str, container: InputContainer, stream: av.VideoStream) -> int:
        last: NDArray[np.int16] | None = None
        taken: NDArray[np.int16] | None = None
        taken_s, count = 0.0, 0
        try:
            for frame in container.decode(stream):
                small = _small(frame)
                time_s = float(frame.time or 0.0)
                if (
                    last is None
                    or taken is None
                    or (time_s - taken_s >= self.scene_s_min and self._is_new(small, last, taken))
                ):
                    self._keep(path, frame, count, time_s)
                    taken, taken_s, count = small, time_s, count + 1
                    if count == self.frames_max:
                        break
                last = small
        except FFmpegError as error:
            if count == 0:
                raise
            append(
                os.path.join(self.output, "errors.jsonl"),
                {"file": os.path.basename(path), "reason": f"broken after {count}: {error}"},
            )
        return count

    def _is_new(
        self, small: NDArray[np.int16], last: NDArray[np.int16], taken: NDArray[np.int16]
    ) -> bool:
        return (
            _difference(small, last) > self.threshold
            or _difference(small, taken) > self.threshold * FADE_SCALE
        )

    def _keep(self, path: str, frame: av.VideoFrame, number: int, time_s: float) -> None:
        folder = os.path.join(self.output, stem_of(path))
        os.makedirs(folder, exist_ok=True)
        name = f"{number:05}.jpg"
        with new_file(os.path.join(folder, name)) as file:
            frame.to_image().save(file, "JPEG", quality=90)
        record = {
            "frame": f"{stem_of(path)}/{name}",
            "file": os.path.basename(path),
            "number": number,
            "time_s": round(time_s, 3),
        }
        append(os.path.join(self.output, "frames.jsonl"), record)


def _small(frame: av.VideoFrame) -> NDArray[np.int16]:
    grey = frame.reformat(width=SMALL[0], height=SMALL[1], format="gray").to_ndarray()
    return grey.astype(np.int16)


def _difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean()) / 255


def main() -> int:
    """Go through every video; returns 3 when some could not be read to the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--threshold", type=float, default=0.1)
    parser.add_argument("--scene-s-min", type=float, default=0.5)
    parser.add_argument("--frames-max", type=int, default=100, help="of one video")
    parser.add_argument("--every-s", type=float, default=0.0, help="for one frame; 0 for scenes")
    arguments = parser.parse_args()
    logging.set_level(logging.PANIC)
    take = KeyFrames(arguments).take
    return each_input(arguments.input, arguments.output, take, seconds=INPUT_S)


if __name__ == "__main__":
    sys.exit(main())
