"""Routes of the HTTP API, made from operations.

A question's request comes in the path and the query, a change's in the path and a JSON body. What
is wrong is answered as a problem (RFC 9457): `application/problem+json` with a code, a sentence
that says what to do, and the mistakes one by one.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Body, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from starlette.exceptions import HTTPException

from base.errors import DrystoneError, UsageError
from base.operations.once import Answered, Requests, ask_once
from base.operations.operation import Caller, Operation

PROBLEM_TYPE = "application/problem+json"
PROBLEM_LINES_MAX = 20
REPEATED_HEADER = "Idempotent-Replayed"
KEY_LENGTH_MAX = 255
_KEY_WORDS = (
    "A key of your own, such as a UUID: for a day the same request with it is done once, and "
    "answered the same again."
)
_Key = Annotated[str | None, Header(description=_KEY_WORDS, max_length=KEY_LENGTH_MAX)]
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


class Problem(BaseModel):
    """A refusal: its status, a code for programs, what to do, and one line for each mistake."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    problems: list[str] = []
    error: str
    """The name of the error's class; with `message` as before, for workers of the last version."""
    message: str


STATUSES: dict[int, str] = {
    400: "The request is refused; the detail says what to do",
    401: "Nobody is logged in: send a token",
    403: "The role is not enough",
    404: "There is no such thing",
    409: "It cannot be done now",
    413: "The document is too large",
    422: "The request is wrong; `problems` has a line for each mistake",
    503: "What it needs does not answer, or is busy: try again",
    507: "There is no room for it",
}


class Server(Protocol):
    """What serves operations: it knows who asks, and in which thread a function may block."""

    def caller(self, request: Request) -> Caller:
        """Return who asks."""
        ...

    def check(self, caller: Caller, one: Operation[Any, Any, Any]) -> None:
        """Raise an error unless the caller's role is enough."""
        ...

    async def run(self, function: Callable[[Any], Any]) -> Any:
        """Call a function with the place of work, in a thread."""
        ...

    def requests(self, place: Any) -> Requests:
        """Return where requests with keys are kept, for those that are done once."""
        ...


def router_of(operations: Iterable[Operation[Any, Any, Any]], server: Server) -> APIRouter:
    """Return the routes of operations."""
    router = APIRouter()
    for one in operations:
        router.add_api_route(
            one.path,
            _endpoint(one, server),
            methods=[one.method],
            name=one.name,
            operation_id=one.name,
            summary=one.help.partition("\n")[0],
            description=f"{one.help}\n\nNeeds the role {one.role}.",
            tags=[one.group],
            response_model=one.answer,
            dependencies=[Depends(_checked(one, server))],
            responses=problem_answers(),
        )
    return router


def problem_answers() -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of refusals."""
    content = {PROBLEM_TYPE: {"schema": Problem.model_json_schema()}}
    return {
        status: {"description": words, "content": content} for status, words in STATUSES.items()
    }


def _checked(one: Operation[Any, Any, Any], server: Server) -> Callable[[Request], None]:
    """Return what refuses those whose role is not enough, before a body is looked at."""

    def check(request: Request) -> None:
        server.check(server.caller(request), one)

    return check


def _endpoint(one: Operation[Any, Any, Any], server: Server) -> Callable[..., Awaitable[Any]]:
    in_path = _PARAMETER.findall(one.path)
    rest = [name for name in one.request.model_fields if name not in in_path]

    async def endpoint(**given: Any) -> Any:
        http_request: Request = given.pop("http_request")
        key: str | None = given.pop("idempotency_key", None)
        caller = server.caller(http_request)
        told = given.pop("told", None)
        fields = {**(told.model_dump(exclude_unset=True) if told is not None else {}), **given}
        try:
            asked = one.request.model_validate(fields)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_context=False)) from None
        if key is None or one.kind != "change":
            document = await server.run(lambda place: one.document_of(one(place, caller, asked)))
            return _answer(document)
        answered: Answered = await server.run(
            lambda place: ask_once(server.requests(place), key, one, place, caller, asked)
        )
        repeated = {REPEATED_HEADER: "true"} if answered.is_repeated else None
        return _answer(answered.document, repeated)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("http_request", kind, annotation=Request)]
    for name in in_path:
        field = one.request.model_fields[name]
        wanted = Annotated[field.annotation, *field.metadata, Path(description=field.description)]
        parameters.append(inspect.Parameter(name, kind, annotation=wanted))
    if one.kind == "change":
        wanted = Annotated[str | None, Header(description=_KEY_WORDS, max_length=KEY_LENGTH_MAX)]
        parameters.append(
            inspect.Parameter("idempotency_key", kind, default=None, annotation=wanted)
        )
    if rest:
        model = _part_of(one, rest)
        if one.method in ("GET", "DELETE"):
            told: Any = Annotated[model, Query()]
            parameters.append(inspect.Parameter("told", kind, annotation=told))
        else:
            is_needed = any(one.request.model_fields[name].is_required() for name in rest)
            told = Annotated[model if is_needed else model | None, Body()]
            default = inspect.Parameter.empty if is_needed else None
            parameters.append(inspect.Parameter("told", kind, default=default, annotation=told))
    endpoint.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    endpoint.__annotations__ = {}
    return endpoint


def _answer(document: Any, headers: dict[str, str] | None = None) -> Response:
    # In ASCII: names that are no UTF-8 come back as they were given, and hide no others.
    return Response(json.dumps(document), headers=headers, media_type="application/json")


def _part_of(one: Operation[Any, Any, Any], names: list[str]) -> type[BaseModel]:
    """Return the request without what comes in the path."""
    fields: dict[str, Any] = {name: _field(one.request.model_fields[name]) for name in names}
    config = ConfigDict(extra="forbid", frozen=True)
    name = "".join(word.capitalize() for word in re.split(r"\W|_", one.name)) + "Request"
    return create_model(name, __config__=config, __doc__=inspect.getdoc(one.request), **fields)


def _field(field: FieldInfo) -> tuple[Any, FieldInfo]:
    return (field.annotation, field)


# ---- Problems ------------------------------------------------------------------------------------


_STATUSES_OF = {
    "NotFoundError": 404,
    "ForbiddenError": 403,
    "KeyReusedError": 422,
    "BusyError": 503,
    "DatabaseFullError": 507,
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


def add_problems(app: FastAPI) -> None:
    """Answer errors as problems."""

    @app.exception_handler(DrystoneError)
    async def refuse(_request: Request, error: Exception) -> Response:
        status = status_of(error)
        name = "UsageError" if status == 400 else type(error).__name__
        return problem_of(status, name, str(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_request(_request: Request, error: RequestValidationError) -> Response:
        lines = [
            f"{'.'.join(str(part) for part in item['loc'] if part != 'told')}: {item['msg']}"
            for item in error.errors()[:PROBLEM_LINES_MAX]
        ]
        detail = "the request is refused, nothing was done"
        return problem_of(422, "UsageError", detail, lines, "wrong_request")

    @app.exception_handler(HTTPException)
    async def refuse_by_status(_request: Request, error: HTTPException) -> Response:
        name = "NotFoundError" if error.status_code == 404 else "UsageError"
        return problem_of(error.status_code, name, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    async def fail(_request: Request, error: Exception) -> Response:
        # The message of an unexpected error may carry anything; the log has it.
        detail = f"the server failed ({type(error).__name__}); see its log"
        return problem_of(500, "ServerFailedError", detail)


def problem_of(
    status: int,
    error: str,
    detail: str,
    problems: Iterable[str] = (),
    code: str = "",
    headers: Any = None,
) -> Response:
    """Return a problem as an answer; in ASCII: a message may quote what UTF-8 cannot carry."""
    body = problem_document(status, error, detail, problems, code)
    return Response(json.dumps(body), status, headers, media_type=PROBLEM_TYPE)


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
        error=error,
        message=detail,
    ).model_dump()


def code_of(error: str) -> str:
    """Return the code of an error for programs: `not_found` for `NotFoundError`."""
    words = re.findall(r"[A-Z][a-z0-9]*", error.removesuffix("Error"))
    return "_".join(words).lower() or "failed"
