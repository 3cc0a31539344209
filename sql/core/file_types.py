"""The file extensions that may be physical content: it owns the seed of table file_type (03).

The table may have more: it decides. This is what a new database begins with.
"""

from __future__ import annotations

from typing import Any, Literal, LiteralString

import psycopg

MediaType = Literal["image", "video", "sound", "text", "unknown"]

FILE_TYPES: dict[MediaType, LiteralString] = {
    "image": "jpg jpeg jpe jfif png apng gif webp avif bmp tif tiff heic heif jxl jp2 svg ico psd "
    "mpo dng cr2 nef arw raf orf rw2"
    " psb tga pcx exr hdr dds ppm pgm pbm pnm jpf jpx j2k rwl srw pef x3f erf kdc",
    "video": "mp4 m4v webm mkv mov avi flv wmv mpg mpeg ts m2ts 3gp ogv mts"
    " m4s f4v rm rmvb vob asf divx mxf 3g2 m2v",
    "sound": "mp3 m4a aac ogg oga opus flac wav wma aif aiff mid midi weba amr"
    " m4b ape wv mka ac3 dts dsf dff caf au spx mpc tta",
    "text": "txt json json5 jsonl ndjson html htm xhtml xml rss atom csv tsv md rst vtt srt ass "
    "yaml yml nfo xmp pdf js log description"
    " lrc sub ssa sbv ttml vcf ics tex bib",
    "unknown": "zip rar 7z cbz cbr cb7 epub mobi azw3 djvu swf ugoira stl obj glb gltf fbx blend "
    "3mf ply doc docx odt xls xlsx ods ppt pptx odp rtf ai eps clip kra xcf sai procreate"
    " sketch ttf otf woff woff2 sf2 torrent",
}


def default_file_extensions() -> frozenset[str]:
    """Return the extensions that a new database takes, in lower case without the dot."""
    return frozenset(extension for text in FILE_TYPES.values() for extension in text.split())


def media_type_of(extension: str) -> MediaType | None:
    """Return what a new database takes an extension for; None for one that it does not take."""
    for media_type, text in FILE_TYPES.items():
        if extension in text.split():
            return media_type
    return None


def file_extensions(connection: psycopg.Connection[Any]) -> frozenset[str]:
    """Return the extensions that this database takes."""
    rows = connection.execute("SELECT file_extension FROM file_type").fetchall()
    return frozenset(row[0] for row in rows)
