"""Draws the edges of images by Canny's method, a PNG each. Knows folders only."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

import cv2
import numpy as np
from PIL import Image, ImageOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import each_input, new_file, stem_of  # pyright: ignore[reportMissingImports]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
PIXELS_MAX = 200_000_000


class Edges:
    """Draws `<stem>.png`: white edges on black."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.output: str = arguments.output
        self.low: float = arguments.low
        self.high: float = arguments.high
        self.blur_px: int = arguments.blur_px

    def draw(self, path: str) -> None:
        """Draw one image. Pillow reads it: one decoder for hostile bytes is enough."""
        with Image.open(path, formats=FORMATS) as opened:
            shown = ImageOps.exif_transpose(opened).convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        grey = np.asarray(Image.alpha_composite(white, shown).convert("L"))
        if self.blur_px:
            side = 2 * self.blur_px + 1
            grey = cv2.GaussianBlur(grey, (side, side), 0)
        edges = cv2.Canny(grey, self.low, self.high)
        with new_file(os.path.join(self.output, f"{stem_of(path)}.png")) as file:
            Image.fromarray(np.asarray(edges, dtype=np.uint8)).convert("1").save(
                file, "PNG", optimize=True
            )


def main() -> int:
    """Draw every image; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--low", type=float, default=100)
    parser.add_argument("--high", type=float, default=200)
    parser.add_argument("--blur-px", type=int, choices=range(16), default=1, metavar="0-15")
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return each_input(arguments.input, arguments.output, Edges(arguments).draw)


if __name__ == "__main__":
    sys.exit(main())
