"""Reads the text in images with tesseract, a CSV row per character. Knows folders only."""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image, ImageOps

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from each_input import each_input, new_file, stem_of  # pyright: ignore[reportMissingImports]

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
PIXELS_MAX = 60_000_000
TESSERACT_S = 240
INPUT_S = 300
COLUMNS = (
    "file", "position", "character", "left_px", "top_px", "width_px", "height_px", "word",
    "confidence",
)  # fmt: skip


class Character(NamedTuple):
    """One character and its box, from the top left."""

    text: str
    left: int
    top: int
    width: int
    height: int


class Word(NamedTuple):
    """One word of tesseract's, with how sure it is (0 to 100)."""

    text: str
    confidence: float


def read_boxes(text: str, height: int) -> list[Character]:
    """Return the characters of a box file, whose y axis begins at the bottom."""
    characters: list[Character] = []
    for line in text.splitlines():
        parts = line.rsplit(" ", 5)
        # A blank character would be no character; tesseract writes ~ where it found none.
        if len(parts) != 6 or not parts[0].strip():
            continue
        left, bottom, right, top = (int(part) for part in parts[1:5])
        characters.append(Character(parts[0], left, height - top, right - left, top - bottom))
    return characters


def read_words(text: str) -> list[Word]:
    """Return the words of a TSV file in the order of reading."""
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return [
        Word(row["text"].strip(), float(row["conf"]))
        for row in rows
        if row.get("level") == "5" and (row.get("text") or "").strip()
    ]


def rows(characters: list[Character], words: list[Word]) -> Iterator[list[str | int | float]]:
    """Yield position, character, box, and the word it belongs to while both lists agree."""
    number, rest = 0, words[0].text if words else ""
    agree = bool(words)
    for position, character in enumerate(characters):
        if agree and not rest and number + 1 < len(words):
            number, rest = number + 1, words[number + 1].text
        agree = agree and rest.startswith(character.text)
        rest = rest[len(character.text) :]
        word = [number, words[number].confidence] if agree else ["", ""]
        yield [position, *character, *word]
    if not characters:
        # So that an image without text has been read, and is not read again.
        yield [0, "", "", "", "", "", "", ""]


class Reader:
    """Runs tesseract on one image after the other; writes `<stem>.csv`."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.output: str = arguments.output
        self.language: str = arguments.language
        self.layout: int = arguments.layout

    def read(self, path: str) -> None:
        """Read one image. Tesseract gets a plain PNG, never the hostile bytes themselves."""
        with Image.open(path, formats=FORMATS) as opened:
            shown = ImageOps.exif_transpose(opened).convert("RGBA")
        white = Image.new("RGBA", shown.size, "white")
        flat = Image.alpha_composite(white, shown).convert("L")
        with tempfile.TemporaryDirectory() as folder:
            flat.save(os.path.join(folder, "page.png"))
            self._tesseract(folder)
            characters = read_boxes(_text(folder, "page.box"), flat.height)
            words = read_words(_text(folder, "page.tsv"))
        with new_file(os.path.join(self.output, f"{stem_of(path)}.csv")) as file:
            lines = [COLUMNS, *([os.path.basename(path), *row] for row in rows(characters, words))]
            text = "".join(",".join(map(_quoted, line)) + "\n" for line in lines)
            file.write(text.encode())

    def _tesseract(self, folder: str) -> None:
        command = ["tesseract", "page.png", "page", "-l", self.language, "--psm", str(self.layout)]
        result = subprocess.run(
            [*command, "makebox", "tsv"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TESSERACT_S,
            # Its threads make single pages slower, and several workers much slower.
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
        if result.returncode != 0:
            raise ValueError(result.stderr.decode(errors="replace").strip()[-300:])


def _text(folder: str, name: str) -> str:
    with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def _quoted(value: object) -> str:
    return '"' + str(value).replace('"', '""') + '"'


def main() -> int:
    """Read every image; returns 3 when some could not be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--language", default="eng")
    parser.add_argument("--layout", type=int, default=3, help="tesseract's --psm")
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX // 2
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    read = Reader(arguments).read
    return each_input(arguments.input, arguments.output, read, seconds=INPUT_S)


if __name__ == "__main__":
    sys.exit(main())
