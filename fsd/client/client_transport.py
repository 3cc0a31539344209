"""How a request reaches the engine: it owns connections, and how a refusal becomes an error.

It knows documents and paths, never what they mean. There is one request per connection.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import base.errors
from base.errors import DrystoneError
from base.http import connection as connection_to
from fsd.documents.models import Document, ErrorAnswer
from fsd.format import errors
from fsd.format.errors import EngineUnavailableError, FsdError, ManifestError

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 60.0
STREAM_TIMEOUT_S = None
"""A report is silent while nothing goes wrong; when the engine dies the socket says so at once."""
READ_SIZE_BYTES = 1 << 16


class Transport:
    """JSON over HTTP to one address: the path of a unix socket, or `http://host:port`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def call(
        self,
        method: str,
        path: str,
        request: Document | None = None,
        timeout_s: float | None = REQUEST_TIMEOUT_S,
    ) -> Any:
        """Send one request and return the decoded answer; None when it has no body."""
        with self._answer(method, path, request, timeout_s) as response:
            body = response.read()
        return json.loads(body) if body else None

    def text(self, path: str) -> str:
        """Return an answer that is plain text."""
        with self._answer("GET", path, None, REQUEST_TIMEOUT_S) as response:
            return response.read().decode("utf-8")

    def lines(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the lines of a JSON Lines answer as they arrive."""
        with self._answer("GET", path, None, STREAM_TIMEOUT_S) as response:
            for line in _split_lines(_chunks(response)):
                yield json.loads(line)

    @contextmanager
    def _answer(
        self, method: str, path: str, request: Document | None, timeout_s: float | None
    ) -> Generator[http.client.HTTPResponse]:
        # Not pydantic's own JSON: it refuses the lone surrogates of names that are not UTF-8.
        body = None if request is None else json.dumps(request.model_dump()).encode("ascii")
        headers = {"Content-Type": "application/json"} if body else {}
        connection = self._connect()
        try:
            connection.sock.settimeout(timeout_s)
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise _error_of(response.status, response.read())
            yield response
        except TimeoutError as error:
            raise EngineUnavailableError(
                "the engine does not answer in time; `drystone status` and its log tell more"
            ) from error
        except (http.client.HTTPException, ConnectionError) as error:
            raise EngineUnavailableError(
                "the engine went away before it had answered; `drystone status` tells more"
            ) from error
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        connection = connection_to(self._address, CONNECT_TIMEOUT_S)
        try:
            connection.connect()
        except PermissionError as error:
            raise EngineUnavailableError(
                f"the engine belongs to another user: {self._address} may not be opened"
            ) from error
        except OSError as error:
            raise EngineUnavailableError(
                "the engine is not running; start it with `drystone up`"
            ) from error
        return connection


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read1(READ_SIZE_BYTES):
        yield chunk


def _split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _error_of(status: int, body: bytes) -> DrystoneError:
    try:
        answer = ErrorAnswer.model_validate(json.loads(body))
    except ValueError:
        shown = ascii(body[:500].decode("utf-8", "replace"))
        return FsdError(f"the engine answered {status}: {shown}")
    kind = getattr(errors, answer.error, None) or getattr(base.errors, answer.error, FsdError)
    if not (isinstance(kind, type) and issubclass(kind, DrystoneError)):
        kind = FsdError
    # Past __init__, which would dress up a message that is finished already.
    error = kind.__new__(kind)
    error.args = (answer.message,)
    error.exit_code = answer.exit_code
    if isinstance(error, ManifestError):
        error.problems = [line.strip() for line in answer.message.splitlines()[1:]]
        error.problem_count = len(error.problems)
    return error
