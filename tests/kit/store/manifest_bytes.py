"""The canonical bytes of a manifest, made of entries in memory."""

from collections.abc import Iterable

from fsd.format.manifest.manifest_columns import Columns, ManifestEntry
from fsd.format.manifest.manifest_form import format_pieces


def format_manifest(entries: Iterable[ManifestEntry]) -> bytes:
    """Return the bytes of checked entries, which may come in any order."""
    columns = Columns(entries)
    columns.sort()
    return b"".join(format_pieces(columns))
