"""The plain folder: it owns what is said about files that no other adapter describes.

Every file gives a Record; what is damaged inside it costs only the metadata. A folder is no global
identity, so it becomes no album: its path is a column. An XMP sidecar (`a.xmp` or `a.jpg.xmp`
beside `a.jpg`) is an attachment of its file and speaks first; captions, tags and JSON beside a file
are records of it (sidecars.py). Artists and authors are known by name only. Nothing is trusted:
`detected_type` says what the bytes are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import Link, MediaFile, Observation, Problem, Record, Sniff
from adapters.records.values import as_text
from adapters.sources.plain_folder.detect import HEAD_BYTES, detect, fits
from adapters.sources.plain_folder.document import read_pdf
from adapters.sources.plain_folder.findings import Findings
from adapters.sources.plain_folder.image import FORMATS, read_image
from adapters.sources.plain_folder.sidecars import (
    SIDECARS,
    Missing,
    described,
    owner_of,
    sidecar_record,
)
from adapters.sources.plain_folder.sound import WITH_TAGS, read_sound
from adapters.sources.plain_folder.video import read_matroska, read_mp4
from adapters.sources.plain_folder.xmp import XMP_BYTES_MAX, read_xmp
from adapters.sources.schemas.file import TABLE
from adapters.sources.schemas.labelled_file import TABLE as LABELLED
from sql import DeclaredTable

SOURCE = "file"
CONFIDENCE = 0.1
SURE_OF_SIDECARS = 0.6
_BMFF = ("mp4", "mov", "3gp", "m4a", "heic", "avif")


class PlainFolderAdapter:
    """Files by themselves: EXIF, XMP, IPTC, audio tags, document info."""

    name = "plain-folder"
    tables: tuple[DeclaredTable, ...] = (TABLE, LABELLED)

    def sniff(self, folder: ScrapeFolder) -> Sniff:
        """Always possible, sure only of files with captions or tags beside them."""
        if found := described(folder):
            return Sniff(SURE_OF_SIDECARS, f"{found} texts tried describe the file beside them")
        return Sniff(CONFIDENCE, "any folder is one of plain files")

    def read(self, folder: ScrapeFolder) -> Iterator[Record | Problem]:
        """Yield a record of every file."""
        missing = Missing(folder)
        for path in folder.paths:
            extension = extension_of(path)
            owner = owner_of(folder, path) if extension in SIDECARS else None
            if extension in SIDECARS and (reason := missing.reason(path)):
                yield Problem(path, 0, reason)
            try:
                yield _described(folder, path, extension, owner)
            except RecordError as error:
                yield Problem(path, -1, str(error))


def _described(folder: ScrapeFolder, path: str, extension: str, owner: MediaFile | None) -> Record:
    media = MediaFile(path)
    if owner is not None and extension == "xmp":
        return _sidecar_record(path, media, owner)
    said = sidecar_record(folder, path, owner) if owner is not None else None
    return said or _record(folder, path, media)


def _record(folder: ScrapeFolder, path: str, media: MediaFile) -> Record:
    size_bytes = folder.files[path].size_bytes
    with folder.open(path) as file:
        head = file.read(HEAD_BYTES)
        detected = detect(head)
        inside = _read(file, detected, size_bytes)
    found = Findings()
    sidecar = _sidecar_of(folder, path)
    if sidecar is not None:
        found.fill(_read_sidecar(folder, sidecar))
    elif extension_of(path) == "xmp":
        found.fill(_read_sidecar(folder, path))
    found.fill(inside)
    parent, _, name = path.rpartition("/")
    meta = {
        **found.columns,
        "file_name": as_text(name),
        "folder": as_text(parent),
        "detected_type": detected,
        "extension_matches": fits(detected, extension_of(path)),
    }
    author, links, observations = _author(found, media)
    title = as_text(found.columns.get("title")) or as_text(found.columns.get("description"))
    time = found.taken or found.changed
    own = Observation(media, SOURCE, True, title, None, time, author, meta)
    return Record(path, -1, media, (own, *observations), tuple(links), found.written or None)


def _read(file: BinaryIO, detected: str | None, size_bytes: int) -> Findings:
    found = Findings()
    if detected in FORMATS:
        found.fill(read_image(file, detected, size_bytes))
    if detected in _BMFF:
        found.fill(read_mp4(file, size_bytes))
    if detected in ("webm", "mkv"):
        found.fill(read_matroska(file))
    if detected in WITH_TAGS:
        found.fill(read_sound(file))
    if detected == "pdf":
        found.fill(read_pdf(file, size_bytes))
    return found


def _author(found: Findings, media: MediaFile) -> tuple[str | None, list[Link], list[Observation]]:
    name = as_text(found.columns.get("artist"), 500)
    try:
        author = describe(SOURCE, "username", name.lower()) if name else None
    except RecordError:
        author = None
    if author is None:
        return None, [], []
    return author, [Link(author, media, "authored")], [Observation(author, SOURCE, False, name)]


# ---- Sidecars ------------------------------------------------------------------------------------


def _sidecar_of(folder: ScrapeFolder, path: str) -> str | None:
    if extension_of(path) == "xmp":
        return None
    stem = path.rpartition(".")[0] if extension_of(path) else path
    names = (f"{path}.xmp", f"{path}.XMP", f"{stem}.xmp", f"{stem}.XMP")
    for name in names:
        if name in folder.files and owner_of(folder, name) == MediaFile(path):
            return name
    return None


def _read_sidecar(folder: ScrapeFolder, path: str) -> Findings:
    try:
        return read_xmp(folder.read_bytes(path, XMP_BYTES_MAX))
    except RecordError:
        return Findings()


def _sidecar_record(path: str, media: MediaFile, owner: MediaFile) -> Record:
    parent, _, name = path.rpartition("/")
    meta = {"file_name": as_text(name), "folder": as_text(parent), "detected_type": "xmp"}
    own = Observation(media, SOURCE, False, meta=meta)
    return Record(path, -1, media, (own,), (Link(owner, media, "attachment"),))


ADAPTERS = (PlainFolderAdapter(),)
