"""The description of an operation: its name, its documents, who may ask for it, and where.

From one description come a command, a route with its entry in OpenAPI, and the acts of pages. The
function below it knows none of these: it gets its place of work (an open database and the like),
who asks, and a checked request, and returns a document. Never imports Typer or FastAPI.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from base.errors import UsageError
from base.output import json_text

Place = TypeVar("Place")
Request = TypeVar("Request", bound=BaseModel)
Answer = TypeVar("Answer")

Role = Literal["viewer", "operator", "admin"]
"""The least role that may ask; each role may what those before it may."""
Kind = Literal["question", "change"]
"""A question changes nothing. Whatever else an operation does is a change."""

METHODS = ("GET", "POST", "PATCH", "DELETE")


class Caller(NamedTuple):
    """Who asks: an account's name and role. A command's caller is the owner of the store."""

    name: str
    role: str


class NoRequest(BaseModel):
    """The request of an operation that needs to be told nothing."""

    model_config = {"extra": "forbid", "frozen": True}


class Wait(NamedTuple, Generic[Answer]):
    """The option `--wait` of a command: what it waits for, and how. It returns the last answer."""

    help: str
    until: Callable[[Any, Answer], Answer]
    """Gets the place of work and the answer; blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cli(Generic[Request, Answer]):
    """How an operation looks in the shell.

    Fields of the request become options of their name, `run_id` as `--run-id`; those in
    `positional` become arguments. `show` writes an answer for people; `--json` writes it whole.
    """

    command: str = ""
    """Words of the command; those of the operation's name when empty."""
    is_shown: bool = True
    """False for what is no command of its own, but the dry run of another."""
    positional: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Other names of a field's option, such as `("--parameter", "-p")`; none leaves it out."""
    metavars: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Options of fields that hold an object: each names a JSON file that has it."""
    pairs: tuple[str, ...] = ()
    """Fields that hold an object, given as NAME=VALUE again and again."""
    numbers_are_text: bool = False
    """Whether the 2026 of NAME=2026 is text, for whoever reads it to make a number of."""
    wait: Wait[Answer] | None = None
    dry_run: Operation[Any, Any, Any] | None = None
    """What `--dry-run` does: an operation that takes the same request and changes nothing."""
    show: Callable[[Answer, Request], None] | None = None
    """None for what has only one form, JSON."""
    exit_code: Callable[[Answer, bool], int] | None = None
    """The exit code that an answer means, and whether it was waited for, where it is not 0."""
    instead: Mapping[tuple[str, str], Operation[Any, Any, Any]] = field(
        default_factory=dict[tuple[str, str], Any]
    )
    """Values of an argument that mean another operation, which needs to be told nothing."""
    example: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[Place, Request, Answer]):
    """One operation; calling it does it. Errors are those of the function."""

    name: str
    """Such as `run.cancel`: unique, and the permission's name."""
    function: Callable[[Place, Caller, Request], Answer]
    request: type[Request]
    answer: Any
    """The answer's type: a model, or a list of one."""
    role: Role
    kind: Kind
    method: str
    path: str
    """The path below the prefix of the API, with its parameters: `/runs/{run_id}/cancel`."""
    cli: Cli[Request, Answer] | None

    def __call__(self, place: Place, caller: Caller, request: Request) -> Answer:
        """Do it. Whoever calls has checked that the caller's role is enough."""
        return self.function(place, caller, request)

    def request_of(self, values: Mapping[str, Any]) -> Request:
        """Return the request that plain values make; those that are None are not given.

        Raises UsageError with what is wrong of each value.
        """
        told = {name: value for name, value in values.items() if value is not None}
        try:
            return self.request.model_validate(told)
        except ValidationError as error:
            words = self.name.replace(".", " ")
            raise UsageError(f"{words}: " + "; ".join(problem_lines(error))) from None

    def document_of(self, answer: Answer) -> Any:
        """Return an answer as a JSON document; numbers that JSON has not are null."""
        text = json_text(TypeAdapter(self.answer).dump_python(answer))
        return json.loads(text, parse_constant=lambda _: None)

    @property
    def help(self) -> str:
        """The function's docstring: what the operation does, for every face of it."""
        return inspect.getdoc(self.function) or ""

    @property
    def group(self) -> str:
        """The first word of the name: `run` of `run.cancel`."""
        return self.name.partition(".")[0]


def operation(
    name: str,
    *,
    request: type[Request],
    answer: Any,
    role: Role,
    kind: Kind,
    route: str,
    cli: Cli[Request, Any] | None = None,
) -> Callable[[Callable[[Place, Caller, Request], Answer]], Operation[Place, Request, Answer]]:
    """Describe a plain function as an operation; `route` is a method and a path."""
    method, _, path = route.partition(" ")
    if method not in METHODS or not path.startswith("/"):
        raise ValueError(f"{name}: {route!r} is no method and path")
    if kind == "change" and method == "GET":
        raise ValueError(f"{name}: a GET changes nothing")

    def describe(
        function: Callable[[Place, Caller, Request], Answer],
    ) -> Operation[Place, Request, Answer]:
        return Operation(name, function, request, answer, role, kind, method, path, cli)

    return describe


def problem_lines(error: ValidationError) -> list[str]:
    """Return one line for each mistake in a document: where, and what."""
    return [
        f"{'.'.join(map(str, item['loc'])) or 'the request'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def operations_of(*modules: ModuleType) -> tuple[Operation[Any, Any, Any], ...]:
    """Return the operations that modules define, in the order of their lines."""
    found = [one for module in modules for one in vars(module).values()]
    return tuple(one for one in found if isinstance(one, Operation))
