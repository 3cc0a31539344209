"""Measures images: size, mode, EXIF and perceptual hash, a JSON line each. Knows folders only."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import warnings
from typing import Any

import imagehash
from PIL import ExifTags, Image, ImageOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import append, each_input  # pyright: ignore[reportMissingImports]

# Not EPS and the like, which start other programs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
PIXELS_MAX = 200_000_000
EXIF_LENGTH_MAX = 4_000
TEXT_LENGTH_MAX = 200


def probe(path: str) -> dict[str, Any]:
    """Return what is known of one image. Raises what Pillow raises."""
    with Image.open(path, formats=FORMATS) as image:
        exif = _exif(image)
        record = {
            "file": os.path.basename(path),
            "width_px": image.width,
            "height_px": image.height,
            "mode": image.mode,
            "format": image.format,
            "frames": getattr(image, "n_frames", 1),
            "has_alpha": image.has_transparency_data,
            "exif": json.dumps(exif, ensure_ascii=False)[:EXIF_LENGTH_MAX] if exif else None,
            "camera": " ".join(exif[name] for name in ("Make", "Model") if name in exif) or None,
            "taken_at": exif.get("DateTimeOriginal") or exif.get("DateTime"),
            **_place(image),
        }
        # What is shown counts: turned as the camera says, transparency on white.
        shown = ImageOps.exif_transpose(image).convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        flat = Image.alpha_composite(white, shown).convert("L")
        record["perceptual_hash"] = str(imagehash.phash(flat))
        record["difference_hash"] = str(imagehash.dhash(flat))
        return record


def _exif(image: Image.Image) -> dict[str, str]:
    """Return the tags by name as short printable texts; broken EXIF is none."""
    try:
        tags = image.getexif()
        pairs = list(tags.items()) + list(tags.get_ifd(ExifTags.IFD.Exif).items())
    except Exception:
        return {}
    texts: dict[str, str] = {}
    for tag, value in pairs:
        name = ExifTags.TAGS.get(tag)
        if name is None or isinstance(value, bytes | dict):
            continue
        text = "".join(c for c in str(value) if c.isprintable())[:TEXT_LENGTH_MAX].strip()
        if text:
            texts[name] = text
    return texts


def _place(image: Image.Image) -> dict[str, float | None]:
    """Return where it was taken, in degrees; north and east are positive."""
    try:
        gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        latitude = _degrees(gps[2]) * (-1 if gps.get(1) == "S" else 1)
        longitude = _degrees(gps[4]) * (-1 if gps.get(3) == "W" else 1)
    except Exception:
        return {"latitude_deg": None, "longitude_deg": None}
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return {"latitude_deg": None, "longitude_deg": None}
    return {"latitude_deg": latitude, "longitude_deg": longitude}


def _degrees(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        raise ValueError("not a place")
    return value


def main() -> int:
    """Probe every image of the input folder; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2  # Pillow refuses at the double.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    results = os.path.join(arguments.output, "images.jsonl")
    return each_input(arguments.input, arguments.output, lambda path: append(results, probe(path)))


if __name__ == "__main__":
    sys.exit(main())
