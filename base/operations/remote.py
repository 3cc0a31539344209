"""Operations of a place in another process: over HTTP, to a unix socket or an address.

One request per connection, with the standard library. A refusal becomes the error that it was
there; what a place is called when nobody answers is its subclass's.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel

from base.errors import DrystoneError, UsageError
from base.logging.ids import headers as carried
from base.network.http import connection
from base.operations.operation import Elsewhere, Operation, adapter_of
from base.operations.problem import PROBLEM_KEY, code_of
from base.output import json_text

if TYPE_CHECKING:
    from base.network.breaker import Breaker

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 60.0
STREAM_TIMEOUT_S = None
"""A stream is silent while there is nothing to tell; when its writer dies the socket says so."""
READ_SIZE_BYTES = 1 << 16
_PARAMETER = re.compile(r"{(\w+)(:path)?}")


class Remote(Elsewhere):
    """A place behind an address: the path of a unix socket, or `http://host:port`.

    Safe to use from several threads; there is nothing to close.
    """

    error: type[DrystoneError] = DrystoneError
    """What is raised for a refusal that nobody knows here."""
    called = "the server"
    """What it is in messages."""

    breaker: Breaker | None = None
    """Of a server that many ask through this; None for a command, which asks once."""

    def __init__(self, address: str, prefix: str, headers: Mapping[str, str] | None = None) -> None:
        self.address = address
        self._prefix = prefix
        self._headers = dict(headers or {})

    def ask(
        self, one: Operation[Any, Any, Any], request: BaseModel, timeout_s: float | None = None
    ) -> Any:
        """Return the answer of an operation; of a stream, its items as they come."""
        method, path, body = http_request_of(one, request)
        if one.kind == "stream":
            return self._items(one, method, path, body)
        limit_s = timeout_s or one.timeout_s or REQUEST_TIMEOUT_S
        answer = self.call(method, path, body, limit_s)
        return adapter_of(one.answer).validate_python(answer)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        timeout_s: float | None = REQUEST_TIMEOUT_S,
    ) -> Any:
        """Send one request and return the decoded answer; None when it has no body."""
        with self._answer(method, path, body, timeout_s) as response:
            found = response.read()
        return json.loads(found) if found else None

    def _items(
        self, one: Operation[Any, Any, Any], method: str, path: str, body: dict[str, Any] | None
    ) -> Iterator[Any]:
        adapter = adapter_of(one.answer)
        with self._answer(method, path, body, STREAM_TIMEOUT_S) as response:
            for line in split_lines(_chunks(response)):
                item = json.loads(line)
                if isinstance(item, dict) and PROBLEM_KEY in item:
                    raise self.error_of(500, json.dumps(item[PROBLEM_KEY]).encode())
                yield adapter.validate_python(item)

    def away(self, reason: str) -> DrystoneError:
        """Return the error for nobody answering; the reason is `refused`, `forbidden`, ..."""
        return DrystoneError(f"{self.called} at {self.address} does not answer ({reason})")

    @contextmanager
    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout_s: float | None
    ) -> Generator[http.client.HTTPResponse]:
        # Not pydantic's own JSON: it refuses the lone surrogates of names that are not UTF-8.
        sent = None if body is None else json_text(body).encode("ascii")
        headers = {
            **carried(),
            **self._headers,
            **({"Content-Type": "application/json"} if sent else {}),
        }
        opened = connection(self.address, CONNECT_TIMEOUT_S)
        try:
            with self._passing():
                self._connect(opened)
                opened.sock.settimeout(timeout_s)
                opened.request(method, self._prefix + path, sent, headers)
                response = opened.getresponse()
            if response.status >= 400:
                raise self.error_of(response.status, response.read())
            yield response
        except TimeoutError as error:
            raise self._lost("late") from error
        except (http.client.HTTPException, ConnectionError) as error:
            raise self._lost("gone") from error
        finally:
            opened.close()

    def _lost(self, reason: str) -> DrystoneError:
        error = self.away(reason)
        error.is_lost = True
        return error

    def _passing(self) -> AbstractContextManager[None]:
        if self.breaker is None:
            return nullcontext()
        return self.breaker.passing(
            lambda: self.away("resting"),
            lambda error: isinstance(error, (OSError, http.client.HTTPException, DrystoneError)),
        )

    def _connect(self, opened: http.client.HTTPConnection) -> None:
        try:
            opened.connect()
        except PermissionError as error:
            raise self.away("forbidden") from error
        except OSError as error:
            raise self.away("down") from error

    def error_of(self, status: int, body: bytes) -> DrystoneError:
        """Return the error that a refusal stands for."""
        try:
            problem = json.loads(body)
            code, detail = str(problem["code"]), str(problem["detail"])
            problems = [str(line) for line in problem.get("problems", ())]
        except (ValueError, TypeError, KeyError, AttributeError):
            shown = ascii(body[:500].decode("utf-8", "replace"))
            return self.error(f"{self.called} answered {status}: {shown}")
        kind = _errors(self.error).get(code) or (UsageError if status in (400, 422) else self.error)
        if code == "wrong_request":
            detail = "; ".join([detail, *problems])
        # Past __init__, which would dress up a message that is finished already.
        error = kind.__new__(kind)
        error.args = (detail,)
        if problems:
            error.problems = problems  # pyright: ignore[reportAttributeAccessIssue]
        return error


def http_request_of(
    one: Operation[Any, Any, Any], request: BaseModel
) -> tuple[str, str, dict[str, Any] | None]:
    """Return method, path with its query, and body of the request that asks for an operation."""
    values = request.model_dump(exclude_unset=True)

    def filled(found: re.Match[str]) -> str:
        text = str(values.pop(found[1])).encode("utf-8", "surrogateescape")
        return quote(text, safe="/" if found[2] else "")

    path = _PARAMETER.sub(filled, one.path)
    if one.method in ("GET", "DELETE"):
        told = {name: value for name, value in values.items() if value is not None}
        query = urlencode(told, doseq=True, errors="surrogateescape")
        return one.method, f"{path}?{query}" if query else path, None
    return one.method, path, values or None


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of pieces of a text that is not whole yet."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read1(READ_SIZE_BYTES):
        yield chunk


def _errors(branch: type[DrystoneError]) -> dict[str, type[DrystoneError]]:
    """Return the errors that this process knows by their codes: those of a branch before others."""
    found: dict[str, type[DrystoneError]] = {}
    for root in (branch, DrystoneError):
        waiting = [root]
        for kind in waiting:
            found.setdefault(code_of(kind.__name__), kind)
            waiting.extend(kind.__subclasses__())
    return found
