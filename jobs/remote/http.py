"""HTTP to the public port: it owns one request and its answer, and what a refusal means here.

Control only, with the standard library, so that a worker on another machine needs nothing else. An
address is `http://HOST:PORT` or `https://HOST:PORT`, behind a proxy with a path. Who cannot be
reached, or is busy, is a DatabaseUnavailableError: whoever asks may ask again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from base.errors import UsageError
from base.logging.ids import headers as carried_headers
from base.network.http import connection
from jobs.core.errors import JobsError
from sql import DatabaseUnavailableError, NotFoundError

TIMEOUT_S = 30.0
ANSWER_SIZE_BYTES_MAX = 64 << 20

_REFUSALS: dict[str, type[Exception]] = {
    "NotFoundError": NotFoundError,
    "DatabaseUnavailableError": DatabaseUnavailableError,
    "DatabaseFullError": DatabaseUnavailableError,
    "UsageError": UsageError,
}


class RefusedError(JobsError):
    """The API refused a request; `name` is the error that it named there."""

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type[RefusedError], tuple[str, str]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.name, self.message)


class UntrustedError(DatabaseUnavailableError):
    """Whoever answers has another name, or a certificate that nobody signed whom we trust."""


class RemoteApi:
    """The API at one address; safe to use from several threads, nothing to close."""

    def __init__(
        self, address: str, token: str = "", ca_file: str = "", timeout_s: float = TIMEOUT_S
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https"):
            raise UsageError(f"{address!a} is no address of an API; give http://HOST:8420")
        self._address = address
        # A worker of the last version was told http://HOST:8420/api.
        self._prefix = parts.path.rstrip("/").removesuffix("/api") + "/api/v1"
        self._token = token
        self._ca_file = ca_file
        self._timeout_s = timeout_s

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """Send a request and return the answer's document.

        Raises DatabaseUnavailableError when nobody answers, RefusedError or the error of `sql` that
        the API named when it refuses.
        """
        body = None if document is None else json.dumps(document).encode("ascii")
        headers = {"Content-Type": "application/json", "Connection": "close", **carried_headers()}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            with contextlib.closing(self._connect()) as opened:
                opened.request(method, self._prefix + path, body, headers)
                answer = opened.getresponse()
                text = answer.read(ANSWER_SIZE_BYTES_MAX + 1)
        except ssl.SSLCertVerificationError as error:
            raise UntrustedError(
                f"the certificate of {self._address} is not trusted: {error.verify_message}; give "
                "the certificate of who signed it as --ca-file"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
            raise DatabaseUnavailableError(
                f"the API at {self._address} does not answer: {said}"
            ) from error
        if len(text) > ANSWER_SIZE_BYTES_MAX:
            raise JobsError(f"the API answered more than {ANSWER_SIZE_BYTES_MAX:,} bytes")
        return self._document(answer.status, text)

    def _document(self, status: int, text: bytes) -> Any:
        try:
            document = json.loads(text) if text else None
        except (ValueError, RecursionError) as error:
            raise JobsError(f"{self._address} answers no JSON; is it our port?") from error
        if 200 <= status < 300:
            return document
        refusal: dict[str, Any] = document if isinstance(document, dict) else {}
        name = str(refusal.get("error", ""))
        message = str(refusal.get("message", f"the API answered {status}"))
        if status == 401:
            raise UsageError(
                f"the API at {self._address} refuses the token: {message}; make one with "
                "`drystone token create NAME --owner ACCOUNT --scope worker`"
            )
        if status == 503:
            raise DatabaseUnavailableError(message)
        if name in _REFUSALS:
            raise _REFUSALS[name](message)
        raise RefusedError(name, message)

    def _connect(self) -> http.client.HTTPConnection:
        tls = None
        if self._address.startswith("https:"):
            try:
                tls = ssl.create_default_context(cafile=self._ca_file or None)
            except OSError as error:  # An ssl.SSLError, too.
                raise UsageError(f"--ca-file {self._ca_file} is not usable: {error}") from error
        return connection(self._address, self._timeout_s, tls)
