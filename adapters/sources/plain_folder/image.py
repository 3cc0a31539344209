"""Pictures: it owns their headers, EXIF, IPTC and embedded XMP, and never decodes a pixel.

The readers of Pillow are called directly, by the bytes and not by the name: `Image.open` would
refuse large pictures although only their headers are wanted. Formats whose reader decodes when it
opens are left out.
"""

from __future__ import annotations

import struct
import threading
import warnings
from typing import Any, BinaryIO

from PIL import ExifTags, Image, ImageFile
from PIL.IptcImagePlugin import getiptcinfo

from adapters.records.folder import MIB
from adapters.records.values import as_integer, as_number, as_text, clean
from adapters.sources.plain_folder.findings import Findings, first_text, moment
from adapters.sources.plain_folder.xmp import read_xmp

FORMATS = {
    "jpg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "webp": "WEBP",
    "tif": "TIFF",
    "bmp": "BMP",
    "avif": "AVIF",
    "jp2": "JPEG2000",
    "psd": "PSD",
}
# These readers take the whole file into memory before they look at it.
WHOLE_BYTES_MAX = 256 * MIB
WHOLE = ("webp", "avif")
VALUE_LENGTH_MAX = 1_000
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
# Blobs whose meaning only the maker knows, and pointers.
_SKIPPED = frozenset({"MakerNote", "PrintImageMatching", "ExifOffset", "GPSInfo", "JPEGThumbnail"})
_IPTC = {
    (2, 5): "title",
    (2, 120): "description",
    (2, 80): "artist",
    (2, 116): "rights",
    (2, 90): "city",
    (2, 101): "country",
}

# Filters of warnings belong to the whole process; two threads must not restore each other's.
_warnings_lock = threading.Lock()


def read_image(file: BinaryIO, detected: str, size_bytes: int) -> Findings:
    """Return what a picture says; what is damaged is left out, never raised."""
    found = Findings()
    if detected not in FORMATS or (detected in WHOLE and size_bytes > WHOLE_BYTES_MAX):
        return found
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = _open(file, FORMATS[detected])
        except Exception:
            # Hostile bytes end in all kinds of errors; then its first bytes are all it has.
            found.columns |= _bare_size(file, detected)
            return found
        try:
            found.columns |= {
                "width": picture.size[0],
                "height": picture.size[1],
                "color_mode": picture.mode,
            }
            for read in (_frames, _exif, _embedded_xmp, _iptc):
                try:
                    found.fill(read(picture))
                except Exception:
                    # One damaged part leaves the others as they are.
                    found.written.setdefault("damaged", []).append(read.__name__.strip("_"))
        finally:
            picture.close()
    return found


def _bare_size(file: BinaryIO, detected: str) -> dict[str, Any]:
    """Return the size that stands at the very beginning of a GIF or PNG."""
    file.seek(0)
    head = file.read(24)
    if detected == "gif" and len(head) >= 10:
        width, height = struct.unpack_from("<HH", head, 6)
    elif detected == "png" and len(head) == 24 and head[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", head, 16)
    else:
        return {}
    return {"width": width, "height": height} if width and height else {}


class _Kept:
    """A file that its reader cannot close: other readers look at it afterwards."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def close(self) -> None:
        """Nothing: it belongs to the caller."""


def _open(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    Image.preinit()
    if name not in Image.OPEN:
        Image.init()
    factory, _ = Image.OPEN[name]
    file.seek(0)
    kept: Any = _Kept(file)
    return factory(kept, "")


def _frames(picture: ImageFile.ImageFile) -> Findings:
    # GIF counts by walking through all frames, TIFF through all pages: only where it is written.
    count = (
        getattr(picture, "n_frames", None) if picture.format in ("PNG", "WEBP", "AVIF") else None
    )
    return Findings(columns={"frame_count": as_integer(count)})


def _exif(picture: ImageFile.ImageFile) -> Findings:
    found = Findings()
    exif = _exif_of(picture)
    base = _named(exif, ExifTags.TAGS)
    detail = _part(exif, _EXIF_IFD, ExifTags.TAGS)
    gps = _part(exif, _GPS_IFD, ExifTags.GPSTAGS)
    tags = base | detail
    if tags:
        found.written["exif"] = tags
    if gps:
        found.written["gps"] = gps
    for name, zone_name in (
        ("DateTimeOriginal", "OffsetTimeOriginal"),
        ("DateTimeDigitized", "OffsetTimeDigitized"),
    ):
        found.taken, zone = moment(tags.get(name), tags.get(zone_name) or tags.get("OffsetTime"))
        if found.taken:
            found.columns |= {"taken_time": found.taken, "taken_offset": zone}
            break
    found.changed = moment(tags.get("DateTime"), tags.get("OffsetTime"))[0]
    found.columns |= _camera(tags) | _place(exif, gps)
    return found


def _exif_of(picture: ImageFile.ImageFile) -> Image.Exif:
    if picture.format != "PNG":
        return picture.getexif()
    # For a PNG without EXIF in front Pillow would decode it, to look for some behind the pixels.
    exif = Image.Exif()
    exif.load(picture.info.get("exif", b""))
    return exif


def _camera(tags: dict[str, Any]) -> dict[str, Any]:
    orientation = as_integer(tags.get("Orientation"))
    iso = tags.get("ISOSpeedRatings")
    return {
        "camera_make": first_text(tags, "Make"),
        "camera_model": first_text(tags, "Model"),
        "lens": first_text(tags, "LensModel"),
        "software": first_text(tags, "Software"),
        "exposure_s": _positive(tags.get("ExposureTime")),
        "f_number": _positive(tags.get("FNumber")),
        "iso": as_integer(iso[0] if isinstance(iso, list) and iso else iso) or None,
        "focal_length_mm": _positive(tags.get("FocalLength")),
        "orientation": orientation if orientation is not None and 1 <= orientation <= 8 else None,
        "title": first_text(tags, "XPTitle"),
        "description": first_text(tags, "ImageDescription", "XPComment"),
        "artist": first_text(tags, "Artist", "XPAuthor"),
        "rights": first_text(tags, "Copyright"),
        "rating": as_integer(tags.get("Rating")),
    }


def _place(exif: Any, gps: dict[str, Any]) -> dict[str, Any]:
    raw = exif.get_ifd(_GPS_IFD) if gps else {}
    latitude = _degrees(raw.get(2), gps.get("GPSLatitudeRef"), 90)
    longitude = _degrees(raw.get(4), gps.get("GPSLongitudeRef"), 180)
    if latitude is None or longitude is None:
        return {}
    if latitude == longitude == 0:
        # Devices write zeros while they search.
        return {}
    altitude = as_number(_plain(raw.get(6)))
    below = raw.get(5) in (1, b"\1")
    return {
        "latitude": latitude,
        "longitude": longitude,
        "altitude_m": -altitude if altitude is not None and below else altitude,
    }


def _degrees(value: Any, reference: Any, limit: float) -> float | None:
    if not isinstance(value, tuple) or len(value) != 3:
        return None
    parts = [as_number(_plain(part)) for part in value]
    if any(part is None or part < 0 for part in parts) or reference not in ("N", "S", "E", "W"):
        return None
    total = sum((part or 0.0) / unit for part, unit in zip(parts, (1, 60, 3600), strict=True))
    return None if total > limit else -total if reference in ("S", "W") else total


def _positive(value: Any) -> float | None:
    number = as_number(value)
    return number if number is not None and number > 0 else None


def _part(exif: Any, ifd: int, names: dict[int, str]) -> dict[str, Any]:
    try:
        return _named(exif.get_ifd(ifd), names)
    except Exception:
        # A pointer into nothing: the tags beside it are still good.
        return {}


def _named(tags: Any, names: dict[int, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number in list(tags)[:500]:
        name = names.get(number, f"0x{number:04x}" if isinstance(number, int) else None)
        if name is None or name in _SKIPPED:
            continue
        value = _plain(tags.get(number), is_utf16=name.startswith("XP"))
        if value not in (None, "", []):
            found[name] = value
    return found


def _plain(value: Any, is_utf16: bool = False) -> Any:
    """Return an EXIF value as JSON: rationals as numbers, bytes as text."""
    if isinstance(value, bytes):
        text = value.decode("utf-16-le" if is_utf16 else "latin-1", "replace")
        return as_text(clean(text.split("\0\0")[0].strip("\0 ")), VALUE_LENGTH_MAX)
    if isinstance(value, str):
        return as_text(value.split("\0")[0], VALUE_LENGTH_MAX)
    if isinstance(value, tuple):
        return [_plain(part) for part in value[:100]]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value
    try:
        return as_number(float(value))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _embedded_xmp(picture: ImageFile.ImageFile) -> Findings:
    packet = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    return read_xmp(packet) if isinstance(packet, bytes) else Findings()


def _iptc(picture: ImageFile.ImageFile) -> Findings:
    found = Findings()
    info = getiptcinfo(picture) if picture.format in ("JPEG", "TIFF") else None
    if not info:
        return found
    texts = {key: _iptc_texts(value) for key, value in info.items()}
    found.written["iptc"] = {f"{key[0]}:{key[1]}": value for key, value in texts.items() if value}
    for key, column in _IPTC.items():
        found.columns[column] = "; ".join(texts.get(key, [])) or None
    found.columns["keywords"] = texts.get((2, 25)) or None
    date, clock = "".join(texts.get((2, 55), [])), "".join(texts.get((2, 60), []))
    if len(date) == 8:
        time = f"T{clock[:2]}:{clock[2:4]}:{clock[4:6]}" if len(clock) >= 6 else ""
        zone = f"{clock[6:9]}:{clock[9:11]}" if len(clock) >= 11 else None
        found.taken, shown = moment(f"{date[:4]}-{date[4:6]}-{date[6:]}{time}", zone)
        if found.taken:
            found.columns |= {"taken_time": found.taken, "taken_offset": shown}
    return found


def _iptc_texts(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [value]
    decoded = (part.decode("utf-8", "replace") for part in parts[:1_000] if isinstance(part, bytes))
    return [text for text in map(as_text, decoded) if text]
