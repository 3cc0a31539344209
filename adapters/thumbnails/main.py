"""The process that decodes what strangers wrote: it owns the decoding and its limits.

One JSON line in, one out. It knows no store: it gets a path to read and one to write. It may use
little memory, opens no other file, and whoever started it kills it when it takes too long.

Each picture carries the size of what it was made of and how that is turned (see `source_facts` of
adapters.thumbnails.thumbnails): whoever marks a place in the small one has to find it in the large
one.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

PIXELS_MAX = 250_000_000
MEMORY_BYTES_MAX = 3_000_000_000
"""250 M pixels of four bytes, twice, and what the libraries reserve."""
FILE_BYTES_MAX = 50_000_000
SECONDS_INTO_VIDEO = 1.0
FRAMES_TRIED_MAX = 60
QUALITY = 80
FACTS_TAG = 0x010E
"""ImageDescription: text, which no browser turns a picture by."""
ORIENTATION_TAG = 0x0112


def main() -> None:
    """Answer requests until stdin ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        source = ""
        try:
            request = json.loads(line)
            source = request["source"]
            reason = _make(request)
        except MemoryError:
            reason = "it needs too much memory"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        # Where it was read from is nobody's matter: the reason is kept, and is the same elsewhere.
        reason = reason.replace(source, "the file") if source else reason
        sys.stdout.buffer.write(json.dumps({"reason": reason[:400]}).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()


def _make(request: dict[str, Any]) -> str:
    import pillow_heif
    from PIL import Image, ImageFile

    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    edge_px: int = request["edge_px"]
    draw = _OTHERS.get(request["media_type"])
    if draw is not None:
        picture = draw(request["source"], edge_px)
        if isinstance(picture, str):
            return picture
        facts = (*picture.size, 1)
    else:
        picture, facts = _decoded(request["source"], edge_px)
    if picture.mode not in ("RGB", "RGBA"):
        alpha = picture.mode in ("LA", "PA") or "transparency" in picture.info
        picture = picture.convert("RGBA" if alpha else "RGB")
    picture.thumbnail((edge_px, edge_px))
    exif = Image.Exif()
    exif[FACTS_TAG] = json.dumps(dict(zip(("width", "height", "orientation"), facts, strict=True)))
    picture.save(request["target"], "WEBP", quality=QUALITY, method=3, exif=exif)
    return ""


def _decoded(path: str, edge_px: int) -> tuple[Image.Image, tuple[int, int, int]]:
    from PIL import Image, ImageOps, UnidentifiedImageError

    with warnings.catch_warnings():
        # Twice the limit is an error of Pillow's own, once is only a warning: here both are.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path)
        except UnidentifiedImageError:
            from adapters.thumbnails import svg

            drawing = svg.drawn(path, edge_px)
            if drawing is None:
                raise
            return drawing[0], (*drawing[1], 1)
        width, height = picture.size
        # Lets JPEG decode at an eighth where that is enough: 20 times faster.
        picture.draft("RGB", (edge_px, edge_px))
        picture.load()
        orientation = picture.getexif().get(ORIENTATION_TAG, 1)
        turned = ImageOps.exif_transpose(picture)
    known = isinstance(orientation, int) and 1 <= orientation <= 8
    return turned, (width, height, orientation if known else 1)


def _video_frame(path: str, _edge_px: int) -> Image.Image | str:
    """Return the first frame after a second that is not all of one colour, or why there is none."""
    import av

    best: Image.Image | None = None
    with av.open(path, options={"protocol_whitelist": "file"}) as container:
        if not container.streams.video:
            return "there is no picture in it"
        for number, frame in enumerate(container.decode(video=0)):
            if frame.width * frame.height > PIXELS_MAX:
                return "its pictures are too large"
            if best is None or (frame.time or 0.0) >= SECONDS_INTO_VIDEO:
                best = frame.to_image()
            if (frame.time or 0.0) >= SECONDS_INTO_VIDEO or number >= FRAMES_TRIED_MAX:
                break
    return best if best is not None else "there is no picture in it"


def _sound(path: str, edge_px: int) -> Image.Image | str:
    from adapters.thumbnails import sound

    return sound.drawn(path, edge_px)


def _document(path: str, edge_px: int) -> Image.Image | str:
    from adapters.thumbnails import pdf

    return pdf.drawn(path, edge_px)


_OTHERS = {"video": _video_frame, "sound": _sound, "document": _document}
"""What draws a kind that Pillow does not: it returns a picture, or why there is none."""


if __name__ == "__main__":
    main()
