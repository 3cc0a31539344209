"""Forms with files: a body of `multipart/form-data`, read as it comes. Files go to an upload.

What is kept in memory is a piece of the body, the fields, and the `payload`, all with limits.
"""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from adapters import RECEIVED_BYTES_MAX, ReceivedUpload
from base.errors import UsageError

FORM_TYPE = "multipart/form-data"
FORM_BYTES_MAX = 1 << 50
PAYLOAD = "payload"
FIELD_BYTES_MAX = 64 << 10
FIELDS_MAX = 200
PARTS_MAX = 5_000
HEADER_BYTES_MAX = 4_096
_ENCODINGS = ("", "7bit", "8bit", "binary")


class Form:
    """One body; one thread at a time. Its fields and payload are whole after `end`."""

    def __init__(self, content_type: str, upload: ReceivedUpload) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        self.fields: dict[str, list[str]] = {}
        self.payload = b""
        self._upload = upload
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name: str | None = None
        """Of the field that is read; None while it is a file."""
        self._data = bytearray()
        self._parts, self._is_over = 0, False
        if not boundary:
            raise UsageError("the body is a form without a boundary; name it in Content-Type")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_data,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_size=HEADER_BYTES_MAX,
            )
        except FormParserError as error:
            raise UsageError(f"the body is no form: {error}") from error

    def feed(self, data: bytes) -> None:
        """Read a piece of the body. UsageError for what is wrong with it, SpaceError."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise UsageError(f"the body is no form: {error}; nothing was taken") from error

    def end(self) -> None:
        """Say that the body is over. UsageError when its last part is not."""
        if not self._is_over:
            raise UsageError("the body ended within a part; nothing was taken")
        if not self.payload and not self._upload.files:
            raise UsageError("the form has no payload and no file; send at least one")

    # ---- What the parser tells -------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise UsageError(f"more than {PARTS_MAX:,} parts; send them in several requests")
        self._headers = {}

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _begin_data(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        encoding = _text(self._headers.get(b"content-transfer-encoding", b"")).strip().lower()
        name, file_name = _text(options.get(b"name", b"")), _text(options.get(b"filename", b""))
        if kind != b"form-data" or not name:
            raise UsageError(f"part {self._parts:,} of the form has no name; nothing was taken")
        if encoding not in _ENCODINGS:
            raise UsageError(f"part {name[:80]!a} comes as {encoding[:40]!a}; send its bytes as is")
        self._data = bytearray()
        # A browser sends a field without a chosen file as one without a name.
        is_field = name == PAYLOAD or not file_name
        self._name = name if is_field else None
        if not is_field:
            told = _text(self._headers.get(b"content-type", b""))
            self._upload.begin(name[:FIELD_BYTES_MAX], file_name, told[:200] or None)

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            self._upload.write(memoryview(data)[start:end])
            return
        self._data += data[start:end]
        limit = RECEIVED_BYTES_MAX if self._name == PAYLOAD else FIELD_BYTES_MAX
        if len(self._data) > limit:
            raise UsageError(
                f"{self._name[:80]!a} has more than {limit:,} bytes; send it as a file"
            )

    def _end_part(self) -> None:
        if self._name is None:
            self._upload.end()
        elif self._name == PAYLOAD:
            if self.payload:
                raise UsageError("the form has two payloads; send a list of objects in one")
            self.payload = bytes(self._data)
        elif sum(map(len, self.fields.values())) >= FIELDS_MAX:
            raise UsageError(f"the form has more than {FIELDS_MAX} fields")
        elif self._data or b"filename" not in self._headers.get(b"content-disposition", b""):
            self.fields.setdefault(self._name, []).append(_text(bytes(self._data)))

    def _end(self) -> None:
        self._is_over = True


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("the form has text that is no UTF-8; nothing was taken") from error
