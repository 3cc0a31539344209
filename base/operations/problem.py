"""Problems: how a refusal looks as a document (RFC 9457), and which status and code it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict

from base.errors import UsageError
from base.logging.ids import current

PROBLEM_TYPE = "application/problem+json"
PROBLEM_LINES_MAX = 20
PROBLEM_KEY = "problem"
"""What the last item of a stream that fails is called."""


class Problem(BaseModel):
    """A refusal: its status, a code for programs, what to do, and one line for each mistake."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    problems: list[str] = []
    request_id: str = ""
    """As in the log of the server."""
    error: str
    """The name of the error's class; with `message` as before, for workers of the last version."""
    message: str


RETRY_AFTER_S = 3
"""So long whoever is answered 503 does well to wait."""

STATUSES: dict[int, str] = {
    400: "The request is refused; the detail says what to do",
    401: "Nobody is logged in: send a token",
    403: "The role is not enough",
    404: "There is no such thing",
    409: "It cannot be done now",
    410: "What was to be read on is gone; the detail says where to begin",
    412: "It is not as the request says that it is",
    413: "The document is too large",
    415: "A body of this type is not taken",
    408: "The request did not come in time",
    422: "The request is wrong; `problems` has a line for each mistake",
    429: "You ask too often: wait as long as Retry-After says",
    423: "Somebody else holds it: try again",
    431: "The head of the request is too large",
    460: "The checksum is another than that of what came",
    503: "What it needs does not answer, or is busy: try again",
    507: "There is no room for it",
}


_STATUSES_OF = {
    "NotFoundError": 404,
    "ForbiddenError": 403,
    "GuestError": 403,
    "KeyReusedError": 422,
    "EventsGoneError": 410,
    "BusyError": 503,
    "DatabaseFullError": 507,
    "SpaceError": 507,
    "JournalError": 503,
    "DatabaseUnavailableError": 503,
    "EngineUnavailableError": 503,
    "RedisUnavailableError": 503,
}
"""Statuses of errors by the name of their class, or of one that it is made of."""


def status_of(error: Exception) -> int:
    """Return the status of one of our errors: 400 for a mistake of whoever asks, else 409."""
    for kind in type(error).__mro__:
        if status := _STATUSES_OF.get(kind.__name__):
            return status
    return 400 if isinstance(error, UsageError) else 409


def problem_document(
    status: int, error: str, detail: str, problems: Iterable[str] = (), code: str = ""
) -> dict[str, Any]:
    """Return the document of a problem; `error` is the name of an error's class.

    The code is that name, unless one is given.
    """
    return Problem(
        title=STATUSES.get(status, "It failed").partition(";")[0],
        status=status,
        code=code or code_of(error),
        detail=detail,
        problems=list(problems),
        request_id=current().get("request_id", ""),
        error=error,
        message=detail,
    ).model_dump()


def code_of(error: str) -> str:
    """Return the code of an error for programs: `not_found` for `NotFoundError`."""
    words = re.findall(r"[A-Z][a-z0-9]*", error.removesuffix("Error"))
    return "_".join(words).lower() or "failed"
