"""Bodies of HTTP messages: it owns undoing transfer and content encodings within limits."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import brotli

from adapters.records.errors import RecordError
from adapters.sources.warc.streams import BLOCK_BYTES, check_ratio

ENCODINGS_MAX = 4


class Readable(Protocol):
    """What a block is read from."""

    def read(self, length: int | None = None, /) -> bytes:
        """Return at most so many bytes, empty at the end."""
        ...

    def readline(self, length: int | None = None, /) -> bytes:
        """Return a line, cut at the length."""
        ...


def payload(
    block: Readable, transfer_encoding: str | None, content_encoding: str | None, is_cut: bool
) -> Iterator[bytes]:
    """Yield the body as a reader would see it; RecordError where it is damaged.

    `is_cut`: the writer of the archive says that the body is not whole, so its end may be missing.
    """
    chunks = _dechunked(block, is_cut) if _is_chunked(transfer_encoding) else _blocks(block)
    names = [name.strip().lower() for name in (content_encoding or "").split(",")]
    encodings = [name for name in names if name not in ("", "identity", "none")]
    if len(encodings) > ENCODINGS_MAX:
        raise RecordError(f"{len(encodings)} content encodings")
    for name in reversed(encodings):
        chunks = _decoded(chunks, name, is_cut)
    return chunks


def _is_chunked(transfer_encoding: str | None) -> bool:
    return "chunked" in (transfer_encoding or "").lower()


def _blocks(block: Readable) -> Iterator[bytes]:
    while data := block.read(BLOCK_BYTES):
        yield data


def _dechunked(block: Readable, is_cut: bool) -> Iterator[bytes]:
    line = block.readline(64)
    size = _chunk_size(line)
    if size is None:
        # Many writers undo the chunks and keep the header: the body is plain.
        yield line
        yield from _blocks(block)
        return
    while size:
        left = size
        while left:
            data = block.read(min(left, BLOCK_BYTES))
            if not data:
                if is_cut:
                    return
                raise RecordError("wrong chunking: the body ends inside a chunk")
            left -= len(data)
            yield data
        end = block.readline(2)
        line = block.readline(64) if end == b"\r\n" else b""
        size = _chunk_size(line)
        if size is None:
            if is_cut and not line:
                return
            raise RecordError("wrong chunking: there is no chunk where one should begin")


def _chunk_size(line: bytes) -> int | None:
    digits = line.partition(b";")[0].strip()
    if not line.endswith(b"\n") or not digits or len(digits) > 12:
        return None
    try:
        return int(digits, 16) if digits.isalnum() else None
    except ValueError:
        return None


def _decoded(chunks: Iterator[bytes], name: str, is_cut: bool) -> Iterator[bytes]:
    head = next(chunks, b"")
    while 0 < len(head) < 2 and (more := next(chunks, b"")):
        head += more
    if not head:
        return
    decode = _decoder(name, head)
    if decode is None:
        yield head
        yield from chunks
        return
    packed = unpacked = 0
    is_end = False
    for chunk in _with(head, chunks):
        packed += len(chunk)
        data: bytes | None = chunk
        while data is not None and not is_end:
            out, data, is_end = decode(data)
            unpacked += len(out)
            check_ratio(unpacked, packed)
            if out:
                yield out
    if not is_end and not is_cut:
        raise RecordError(f"the {name} data of the body ends in the middle")


def _with(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from chunks


Decode = Callable[[bytes], tuple[bytes, bytes | None, bool]]
"""Takes packed bytes; gives unpacked ones, what is left to be given again, and the end."""


def _decoder(name: str, head: bytes) -> Decode | None:
    """Return the decoder; None when the body was decoded before it was archived."""
    if name in ("gzip", "x-gzip"):
        if not head.startswith(b"\x1f\x8b"):
            return None
        return _inflating(zlib.decompressobj(16 + zlib.MAX_WBITS))
    if name == "deflate":
        is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
        return _inflating(zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS))
    if name == "br":
        return _unbrotli(brotli.Decompressor())
    raise RecordError(f"the content encoding {name[:40]!a} is not known here")


def _inflating(inflate: zlib._Decompress) -> Decode:  # pyright: ignore[reportPrivateUsage]
    def decode(data: bytes) -> tuple[bytes, bytes | None, bool]:
        try:
            out = inflate.decompress(data, 4 * BLOCK_BYTES)
        except zlib.error as error:
            raise RecordError(f"damaged content encoding: {error}") from error
        # Output that did not fit waits inside, also when all input was taken.
        more = bool(inflate.unconsumed_tail) or len(out) == 4 * BLOCK_BYTES
        return out, inflate.unconsumed_tail if more else None, inflate.eof

    return decode


def _unbrotli(decompressor: Any) -> Decode:
    def decode(data: bytes) -> tuple[bytes, bytes | None, bool]:
        try:
            out = decompressor.process(data, output_buffer_limit=4 * BLOCK_BYTES)
        except brotli.error as error:
            raise RecordError(f"damaged content encoding: {error}") from error
        waits = not decompressor.is_finished() and not decompressor.can_accept_more_data()
        return out, b"" if waits else None, decompressor.is_finished()

    return decode
