"""Unpacking gzip within limits: it owns never giving out more than was allowed, and no format."""

from __future__ import annotations

import zlib

from adapters.records.errors import LimitError, RecordError

GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP = 16 + zlib.MAX_WBITS


def gunzip(data: bytes, limit_bytes: int, cut: bool = False) -> bytes:
    """Unpack all gzip members; LimitError beyond the limit, RecordError when damaged.

    With `cut` the data may end in the middle, and what there is is returned.
    """
    parts: list[bytes] = []
    left = limit_bytes
    while data.startswith(GZIP_MAGIC):
        inflate = zlib.decompressobj(_GZIP)
        try:
            part = inflate.decompress(data, left + 1)
        except zlib.error as error:
            raise RecordError(f"damaged gzip: {error}") from error
        if len(part) > left:
            raise LimitError(f"unpacks to more than {limit_bytes:,} bytes")
        parts.append(part)
        left -= len(part)
        if not inflate.eof:
            if cut:
                break
            raise RecordError("the gzip data ends in the middle")
        data = inflate.unused_data
    return b"".join(parts)
