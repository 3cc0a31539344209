"""Makes copies of images in standard sizes. Knows folders only.

A size is `1080p` (at most 1080 pixels high), `800x600` (fits inside) or `512` (the longer side).
Images are turned as their camera says, and never enlarged unless asked; sizes that would give the
same picture again are left out.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings

from PIL import Image, ImageOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import each_input, new_file, stem_of  # pyright: ignore[reportMissingImports]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
PIXELS_MAX = 200_000_000
SIDE_MAX = 16_384
SIZES_MAX = 10
EXTENSIONS = {"jpeg": "jpg", "png": "png", "webp": "webp"}


def read_sizes(text: str) -> list[tuple[str, int, int]]:
    """Return (name, greatest width, greatest height) of each size. Raises ValueError."""
    sizes: list[tuple[str, int, int]] = []
    for name in (part.strip().lower() for part in text.split(",")):
        if match := re.fullmatch(r"([1-9]\d{0,4})p", name):
            width, height = SIDE_MAX, int(match[1])
        elif match := re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", name):
            width, height = int(match[1]), int(match[2])
        elif re.fullmatch(r"[1-9]\d{0,4}", name):
            width = height = int(name)
        else:
            raise ValueError(f"{name!r} is no size; write 1080p, 800x600 or 512")
        if max(width, height) > SIDE_MAX:
            raise ValueError(f"{name} is more than {SIDE_MAX} pixels")
        sizes.append((name, width, height))
    if len(sizes) > SIZES_MAX:
        raise ValueError(f"at most {SIZES_MAX} sizes")
    return sizes


class Variants:
    """Writes `<stem>/<number>_<size>.<extension>` for each size, the largest picture first."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.output: str = arguments.output
        self.sizes = read_sizes(arguments.sizes)
        self.format: str = arguments.format
        self.quality: int = arguments.quality
        self.enlarge: bool = arguments.enlarge == "true"

    def make(self, path: str) -> None:
        """Write all sizes of one image."""
        with Image.open(path, formats=FORMATS) as opened:
            image = self._plain(ImageOps.exif_transpose(opened))
        folder = os.path.join(self.output, stem_of(path))
        os.makedirs(folder)
        seen: set[tuple[int, int]] = set()
        for number, (name, width, height) in enumerate(self.sizes):
            size = self._fitting(image.size, width, height)
            if size in seen:
                continue
            seen.add(size)
            variant = image.resize(size, Image.Resampling.LANCZOS) if size != image.size else image
            target = os.path.join(folder, f"{number}_{name}.{EXTENSIONS[self.format]}")
            with new_file(target) as file:
                variant.save(file, self.format, quality=self.quality)

    def _plain(self, image: Image.Image) -> Image.Image:
        """Return it as RGB, or RGBA where the format has transparency."""
        if not image.has_transparency_data:
            return image.convert("RGB")
        image = image.convert("RGBA")
        if self.format != "jpeg":
            return image
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

    def _fitting(self, size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
        scale = min(width / size[0], height / size[1])
        if scale > 1 and not self.enlarge:
            scale = 1
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def main() -> int:
    """Make the variants of every image; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--sizes", default="1080p,720p,800x600")
    parser.add_argument("--format", choices=sorted(EXTENSIONS), default="jpeg")
    parser.add_argument("--quality", type=int, choices=range(1, 101), default=90, metavar="1-100")
    parser.add_argument("--enlarge", choices=["true", "false"], default="false")
    arguments = parser.parse_args()
    try:
        variants = Variants(arguments)
    except ValueError as error:
        parser.error(str(error))
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    return each_input(arguments.input, arguments.output, variants.make)


if __name__ == "__main__":
    sys.exit(main())
