"""Routes of the HTTP API, made from operations.

A question's request comes in the path and the query, a change's in the path and a JSON body. What
is wrong is answered as a problem (RFC 9457): `application/problem+json` with a code, a sentence
that says what to do, and the mistakes one by one.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Body, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from base.errors import DrystoneError
from base.logging.ids import in_log
from base.operations.once import Answered, Requests, ask_once
from base.operations.operation import Caller, Operation, message_of
from base.operations.problem import (
    PROBLEM_LINES_MAX,
    PROBLEM_TYPE,
    RETRY_AFTER_S,
    STATUSES,
    Problem,
    code_of,
    problem_document,
    status_of,
)
from base.operations.streams import EVENTS, Lines, events_of, last_seen, lines_of, wants_events
from base.operations.witness import Witness, witnessed

REPEATED_HEADER = "Idempotent-Replayed"
KEY_LENGTH_MAX = 255
_KEY_WORDS = (
    "A key of your own, such as a UUID: for a day the same request with it is done once, and "
    "answered the same again."
)
_Key = Annotated[str | None, Header(description=_KEY_WORDS, max_length=KEY_LENGTH_MAX)]
_AS_EVENTS: dict[int | str, dict[str, Any]] = {200: {"content": {EVENTS: {}}}}
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")


class Server(Protocol):
    """What serves operations: it knows who asks, and in which thread a function may block."""

    def caller(self, request: Request) -> Caller:
        """Return who asks."""
        ...

    def check(self, caller: Caller, one: Operation[Any, Any, Any]) -> None:
        """Raise an error unless the caller's role is enough; blocks nothing."""
        ...

    async def still(self, request: Request) -> bool:
        """Tell whether whoever asked may go on being told, with the rights of the beginning."""
        ...

    async def run(self, function: Callable[[Any], Any]) -> Any:
        """Call a function with the place of work, in a thread."""
        ...

    def requests(self, place: Any) -> Requests:
        """Return where requests with keys are kept, for those that are done once."""
        ...

    def witness(self) -> Witness | None:
        """Return who keeps what was asked for; None where that is known elsewhere."""
        ...


ServerOf = Callable[[Request], Server]
"""Who serves a request: an application says that, its routes are those of every other."""


def routes_of(
    operations: Iterable[Operation[Any, Any, Any]], server_of: ServerOf, prefix: str = ""
) -> list[BaseRoute]:
    """Return the routes of operations, which are to be kept: making them costs more than a start.

    To be added to those of an application as they are: a router that is included instead is built
    again by the first request, and every request is compared with all of its routes twice.
    """
    router = APIRouter()
    for one in operations:
        router.add_api_route(
            prefix + one.path,
            _endpoint(one, server_of),
            methods=[one.method],
            name=one.name,
            operation_id=one.name,
            summary=one.help.partition("\n")[0],
            description=f"{one.help}\n\nNeeds the role {one.asked_by}.",
            tags=[one.group],
            response_model=None if one.kind == "stream" else one.answer,
            response_class=Lines if one.kind == "stream" else JSONResponse,
            dependencies=[Depends(_checked(one, server_of))],
            responses=problem_answers() | (_AS_EVENTS if one.stream is not None else {}),
        )
    return router.routes


def problem_answers() -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says of refusals."""
    content = {PROBLEM_TYPE: {"schema": _problem_schema()}}
    return {
        status: {"description": words, "content": content} for status, words in STATUSES.items()
    }


@functools.cache
def _problem_schema() -> dict[str, Any]:
    # Once, not for each of some fifty routes: that was a fifth of what an engine's start cost.
    return Problem.model_json_schema()


def _checked(
    one: Operation[Any, Any, Any], server_of: ServerOf
) -> Callable[[Request], Awaitable[None]]:
    """Return what refuses those whose role is not enough, before a body is looked at."""

    async def check(request: Request) -> None:
        server = server_of(request)
        caller = server.caller(request)
        try:
            server.check(caller, one)
        except DrystoneError as error:
            await run_in_threadpool(_refuse, one, server, caller, error)

    return check


def _refuse(
    one: Operation[Any, Any, Any], server: Server, caller: Caller, error: DrystoneError
) -> None:
    """Raise a refusal of what nobody was asked for yet, once it is written down; may block."""
    with witnessed(server.witness(), one, caller, None, "api"):
        raise error


def _endpoint(one: Operation[Any, Any, Any], server_of: ServerOf) -> Callable[..., Awaitable[Any]]:
    in_path = _PARAMETER.findall(one.path)
    rest = [name for name in one.request.model_fields if name not in in_path]

    async def endpoint(**given: Any) -> Any:
        http_request: Request = given.pop("http_request")
        key: str | None = given.pop("idempotency_key", None)
        server = server_of(http_request)
        caller = server.caller(http_request)
        followed = one.stream if one.stream is not None and wants_events(http_request) else None
        if followed is not None and (last := last_seen(http_request)) is not None:
            given["after"] = last
        told = given.pop("told", None)
        fields = {**(told.model_dump(exclude_unset=True) if told is not None else {}), **given}
        try:
            asked = (followed or one).request.model_validate(fields)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_context=False)) from None
        if (streamed := followed or one).kind == "stream":
            items = await server.run(lambda place: streamed(place, caller, asked))
            answer_of = events_of if followed is not None else lines_of
            return answer_of(streamed, items, functools.partial(server.still, http_request))
        if key is None or not one.changes:

            def work(place: Any) -> Any:
                with witnessed(server.witness(), one, caller, asked, "api"):
                    return _document(one, one(place, caller, asked))

            document = await server.run(work)
            if inspect.isawaitable(document):
                document = one.document_of(await document)
            return _answer(document)

        def work_once(place: Any) -> Answered:
            with witnessed(server.witness(), one, caller, asked, "api"):
                return ask_once(server.requests(place), key, one, place, caller, asked)

        answered: Answered = await server.run(work_once)
        repeated = {REPEATED_HEADER: "true"} if answered.is_repeated else None
        return _answer(answered.document, repeated)

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("http_request", kind, annotation=Request)]
    for name in in_path:
        field = one.request.model_fields[name]
        wanted = Annotated[field.annotation, *field.metadata, Path(description=field.description)]
        parameters.append(inspect.Parameter(name, kind, annotation=wanted))
    if one.changes:
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


def _document(one: Operation[Any, Any, Any], answer: Any) -> Any:
    # What waits does so in the loop, and takes no thread for it.
    return answer if inspect.isawaitable(answer) else one.document_of(answer)


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


_WORDS = {
    "There was an error parsing the body": "the body is no JSON that can be read: send UTF-8 of "
    "fewer levels, and numbers of fewer digits"
}
"""What FastAPI says, in words that tell what to do."""


def add_problems(app: FastAPI, failure: str = "the server failed") -> None:
    """Answer errors as problems; `failure` is what an unexpected one is called."""

    @app.exception_handler(DrystoneError)
    async def refuse(_request: Request, error: Exception) -> Response:
        status = status_of(error)
        name = "UsageError" if status == 400 else type(error).__name__
        lines = list(getattr(error, "problems", ()))[:PROBLEM_LINES_MAX]
        return problem_of(status, name, str(error), lines, code_of(type(error).__name__))

    @app.exception_handler(RequestValidationError)
    async def refuse_request(_request: Request, error: RequestValidationError) -> Response:
        lines = [_line(item) for item in error.errors()[:PROBLEM_LINES_MAX]]
        detail = "the request is refused, nothing was done"
        return problem_of(422, "UsageError", detail, lines, "wrong_request")

    @app.exception_handler(HTTPException)
    async def refuse_by_status(_request: Request, error: HTTPException) -> Response:
        name = "NotFoundError" if error.status_code == 404 else "UsageError"
        detail = _WORDS.get(error.detail, str(error.detail))
        return problem_of(error.status_code, name, detail, headers=error.headers)

    @app.exception_handler(Exception)
    async def fail(_request: Request, error: Exception) -> Response:
        # The message of an unexpected error may carry anything; the log has it.
        detail = f"{failure} ({type(error).__name__}); {in_log()}"
        return problem_of(500, "ServerFailedError", detail)


def _line(item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"] if part != "told")
    return f"{place}: {message_of(item['msg'])}"


def problem_of(
    status: int,
    error: str,
    detail: str,
    problems: Iterable[str] = (),
    code: str = "",
    headers: Any = None,
) -> Response:
    """Return a problem as an answer; in ASCII: a message may quote what UTF-8 cannot carry."""
    if status == 503:
        headers = {"retry-after": str(RETRY_AFTER_S), **(headers or {})}
    body = problem_document(status, error, detail, problems, code)
    return Response(json.dumps(body), status, headers, media_type=PROBLEM_TYPE)
