"""Pixels of annotated pictures: their size, their masks, and rounded shapes as polygons."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np
from PIL import Image

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.sources.plain_folder.detect import HEAD_BYTES, detect
from adapters.sources.plain_folder.image import FORMATS, read_image
from sql import media_type_of

MASK_PIXELS_MAX = 50_000_000
MASK_BYTES_MAX = 64 << 20
ROUND_CORNERS = 32
"""So many corners has the polygon that stands for a circle or an ellipse."""


def size_of_file(folder: ScrapeFolder, path: str) -> tuple[int, int] | None:
    """Return width and height as the picture is shown, turned as its EXIF says."""
    if media_type_of(extension_of(path)) != "image":
        return None
    with folder.whole.open(path) as file:
        detected = detect(file.read(HEAD_BYTES))
        if detected not in FORMATS:
            return None
        columns = read_image(file, detected, folder.whole.files[path].size_bytes).columns
    width, height = columns.get("width"), columns.get("height")
    if not width or not height:
        return None
    return (height, width) if (columns.get("orientation") or 1) >= 5 else (width, height)


def mask_of(pixels: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return a mask as COCO counts it, of rows of pixels that are inside or not."""
    height, width = pixels.shape
    flat = (pixels != 0).flatten(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return {"height": height, "width": width, "counts": [0, *counts] if flat[0] else counts}


def mask_in_file(folder: ScrapeFolder, path: str) -> dict[str, Any]:
    """Return the mask of a PNG whose pixels are black outside; RecordError for none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(
                io.BytesIO(folder.whole.read_bytes(path, MASK_BYTES_MAX)), formats=("PNG",)
            )
            if picture.width * picture.height > MASK_PIXELS_MAX:
                raise RecordError("a mask beyond the limit of pixels")
            return mask_of(np.asarray(picture.convert("L")))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RecordError(f"its mask {path[:200]!a} is no PNG that can be read") from None


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float = 0.0
) -> list[float]:
    """Return x, y, x, y ... of a polygon of `ROUND_CORNERS` corners; degrees clockwise."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    found: list[float] = []
    for step in range(ROUND_CORNERS):
        turn = 2 * math.pi * step / ROUND_CORNERS
        aside, below = radii[0] * math.cos(turn), radii[1] * math.sin(turn)
        found.append(centre[0] + aside * cosine - below * sine)
        found.append(centre[1] + aside * sine + below * cosine)
    return found
