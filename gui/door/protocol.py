"""HTTP/1.1 on the public port: what one connection may take of time and room before it is refused.

uvicorn's protocol, with bounds: the head of a request is whole within `HEAD_TIMEOUT_S`, and has at
most so many bytes and headers. Nothing of a request is looked at before that. Whoever takes nothing
of an answer for `TAKE_TIMEOUT_S` is cut off.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from base.operations.problem import PROBLEM_TYPE, problem_document

HEAD_TIMEOUT_S = 15.0
HEAD_SIZE_BYTES_MAX = 64 << 10
HEADERS_MAX = 100
TAKE_TIMEOUT_S = 30.0
KERNEL_SIZE_BYTES = 256 << 10
"""Of an answer, before more is asked of the server: what is taken slowly is seen to be taken."""


class _RefusedHead(Exception):  # noqa: N818 - it never leaves this file
    """Stops the parser."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too slow or too large is answered, and the connection ends."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._is_begun = False
        self._size_bytes = 0
        self._refused: tuple[int, str, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Expect the head of a request."""
        super().connection_made(transport)
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_SIZE_BYTES)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._relax()
        self._forget_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a reader that is slower than what it asked for."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Go on writing."""
        self._forget_reader()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close what asks for nothing more; what it has not taken by now, it never will."""
        if self.transport.get_write_buffer_size():
            self._cut_off()
        super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._is_begun, self._size_bytes = True, 0
        if self._timer is None:
            self._expect()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value))
        if len(self.headers) >= HEADERS_MAX:
            self._refuse(431, "HeadTooLargeError", f"a request may have {HEADERS_MAX} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._relax()
        self._is_begun = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that is none, or too large, and close."""
        self._relax()
        status, name, detail = self._refused or (400, "UsageError", "this is no HTTP request")
        body = json.dumps(problem_document(status, name, detail)).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"content-type: {PROBLEM_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _await_reader(self) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        self._reader = self.loop.call_later(TAKE_TIMEOUT_S, self._look_at_reader, left_bytes)

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _look_at_reader(self, left_bytes: int) -> None:
        # Nothing is written meanwhile: what is there is less when something was taken.
        if self.transport.get_write_buffer_size() < left_bytes:
            self._await_reader()
        else:
            self._cut_off()

    def _cut_off(self) -> None:
        # The kernel forgets what it holds for this connection too.
        opened = self.transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _count(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > HEAD_SIZE_BYTES_MAX:
            detail = f"the head of a request may have {HEAD_SIZE_BYTES_MAX:,} bytes"
            self._refuse(431, "HeadTooLargeError", detail)

    def _refuse(self, status: int, name: str, detail: str) -> None:
        self._refused = (status, name, detail)
        raise _RefusedHead

    def _expect(self) -> None:
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._late)

    def _relax(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if not self._is_begun:
            self.transport.close()  # Nothing was asked for.
            return
        detail = f"the head of the request did not come within {HEAD_TIMEOUT_S:.0f} s"
        self._refused = (408, "RequestLateError", detail)
        self.send_400_response("")
