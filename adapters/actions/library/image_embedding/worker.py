"""Computes embeddings of images with an ONNX model, a JSON line each. Knows folders only.

The model takes one batch of pictures (N, 3, height, width), 32-bit floats; its first output is the
embedding, which is normalised to length 1. Values are scaled to 0-1, then by the mean and deviation
that the model's metadata gives as `image_mean` and `image_std` (three numbers each, with commas
between), or else ImageNet's.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import warnings
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import append, each_input  # pyright: ignore[reportMissingImports]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
PIXELS_MAX = 200_000_000
SIDE = 224
"""For models that take any size."""
MEAN, DEVIATION = "0.485,0.456,0.406", "0.229,0.224,0.225"


class Embedding:
    """One loaded model."""

    def __init__(self, model_path: str) -> None:
        available = onnxruntime.get_available_providers()
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        self.session = onnxruntime.InferenceSession(
            model_path, providers=[name for name in wanted if name in available]
        )
        source = self.session.get_inputs()[0]
        if len(source.shape) != 4 or source.type != "tensor(float)":
            raise SystemExit(f"the model's input is {source.type} {source.shape}, no picture")
        self.source_name: str = source.name
        height, width = source.shape[2:]
        self.size = (
            width if isinstance(width, int) else SIDE,
            height if isinstance(height, int) else SIDE,
        )
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.mean = _three(metadata.get("image_mean", MEAN))
        self.deviation = _three(metadata.get("image_std", DEVIATION))

    def of(self, path: str) -> dict[str, Any]:
        """Return the record of one image. Raises what Pillow raises."""
        with Image.open(path, formats=FORMATS) as opened:
            shown = ImageOps.exif_transpose(opened).convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        flat = Image.alpha_composite(white, shown).convert("RGB")
        fitted = ImageOps.fit(flat, self.size, Image.Resampling.BICUBIC)
        values = (np.asarray(fitted, dtype=np.float32) / 255 - self.mean) / self.deviation
        batch = values.astype(np.float32).transpose(2, 0, 1)[np.newaxis]
        output = np.asarray(self.session.run(None, {self.source_name: batch})[0])
        vector = output.astype(np.float64).reshape(-1)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            raise ValueError("the model gives no finite embedding")
        return {
            "file": os.path.basename(path),
            "dimensions": vector.size,
            "vector": [round(float(value), 7) for value in vector / length],
        }


def _three(text: str) -> NDArray[np.float32]:
    values = np.array([float(part) for part in text.split(",")], dtype=np.float32)
    if values.shape != (3,):
        raise SystemExit(f"the model's metadata has {text!r} where three numbers should be")
    return values


def _check_model(path: str, sha256: str) -> None:
    if not os.path.isfile(path):
        raise SystemExit(f"there is no model file {path}")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 and found != sha256:
        raise SystemExit(f"the model {path} is not the one this action was made with: {found}")


def main() -> int:
    """Embed every image; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--model-sha256", default="", help="refuse any other model")
    arguments = parser.parse_args()
    _check_model(arguments.model, arguments.model_sha256)
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    results = os.path.join(arguments.output, "embeddings.jsonl")
    models: list[Embedding] = []

    def embed(path: str) -> None:
        # Loaded where it is used: its threads and its GPU do not survive a fork.
        if not models:
            models.append(Embedding(arguments.model))
        append(results, models[0].of(path))

    return each_input(arguments.input, arguments.output, embed, seconds=300)


if __name__ == "__main__":
    sys.exit(main())
