"""The description of an operation: its name, its documents, who may ask for it, and where.

From one description come a command, a route with its entry in OpenAPI, and the acts of pages. The
function below it knows none of these: it gets its place of work (an open database and the like),
who asks, and a checked request, and returns a document. Never imports Typer or FastAPI.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from base.errors import EXIT_FAILED, UsageError
from base.lazy import read_homes
from base.output import json_text, say

Place = TypeVar("Place")
Request = TypeVar("Request", bound=BaseModel)
Answer = TypeVar("Answer")

Role = Literal["guest", "viewer", "operator", "admin"]
"""The least role that may ask; each role may what those before it may. A guest is shown what was
granted to it."""
GUEST: Role = "guest"
Right = Literal["view", "analyze", "export", "delete", "share", "api"]
"""What is granted to guests on nodes."""
Kind = Literal["question", "change", "work", "stream"]
"""A question changes nothing, a stream is one whose answer is many documents, one after the other.

Whatever else an operation does is a change; one that goes on after its answer is work, and the
answer is its handle.
"""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Caller(NamedTuple):
    """Who asks: an account's name and role. A command's caller is the owner of the store."""

    name: str
    role: str
    user_id: int | None = None
    """The account's number; None for an owner of the store."""
    token: str = ""
    """The name of the token that was shown, if one was."""
    address: str = ""
    """From where, over a network."""

    @property
    def account(self) -> str:
        """What the caller's requests and their keys are kept under: no other ever has it."""
        return self.name if self.user_id is None else str(self.user_id)


class Elsewhere:
    """A place of work in another process: operations are sent there."""

    def ask(self, one: Operation[Any, Any, Any], request: BaseModel) -> Any:
        """Return the answer of an operation; raise the error that it raised there."""
        raise NotImplementedError


class Shell(NamedTuple):
    """How a command was called, for those of its steps that are no operation."""

    is_json: bool
    is_sure: bool
    """Whether `--yes` was given, or is not needed."""
    place: Any
    """The place of work."""
    stack: ExitStack
    """What is closed when the command ends."""
    reads_stdin: bool = False
    """Whether stdin is a document, so that nobody can be asked."""

    def confirm(self, question: str = "Go on?", refused: str = "") -> None:
        """Ask a person, unless it was answered with `--yes`; a no ends the command."""
        import typer

        if self.is_sure:
            return
        if self.reads_stdin:
            raise UsageError("stdin is a document, so nobody can be asked: give --yes")
        if not typer.confirm(question, err=True):
            say(refused or "nothing was done")
            raise typer.Exit(EXIT_FAILED)


class NoRequest(BaseModel):
    """The request of an operation that needs to be told nothing."""

    model_config = {"extra": "forbid", "frozen": True}


class Wait(NamedTuple, Generic[Answer]):
    """The option `--wait` of a command: what it waits for, and how. It returns the last answer."""

    help: str
    until: Callable[[Any, Answer], Answer]
    """Gets the place of work and the answer; blocks."""


class Load(NamedTuple):
    """How a command makes a field of a file, such as a document that is too long to be typed."""

    read: Callable[[str | None], Any]
    """Gets the file's name as given (`-` is stdin), or None."""
    is_needed: bool = True
    """Whether the file has to be named."""


def unlimited(_shell: Shell, asked: Request) -> Request:
    """Ask for all there is: a command has the memory of its own process, a server's is shared."""
    return asked.model_copy(update={"limit": None})


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
    loads: Mapping[str, Load] = field(default_factory=dict[str, Load])
    """Fields whose option or argument names a file."""
    pairs: tuple[str, ...] = ()
    """Fields that hold an object, given as NAME=VALUE again and again."""
    pairs_as: Literal["json", "json_without_numbers", "text"] = "json"
    """What VALUEs are; the 2026 of NAME=2026 may be text for whoever reads it to make a number."""
    wait: Wait[Answer] | None = None
    dry_run: Operation[Any, Any, Any] | None = None
    """What `--dry-run` does: an operation that takes the same request and changes nothing."""
    show: Callable[[Answer, Request], None] | None = None
    """None for what has only one form, JSON."""
    exit_code: Callable[[Answer, bool], int] | None = None
    """The exit code that an answer means, and whether it was waited for, where it is not 0."""
    instead: Mapping[tuple[str, str | None], Operation[Any, Any, Any]] = field(
        default_factory=dict[tuple[str, str | None], Any]
    )
    """Values of an argument that mean another operation, which needs to be told nothing; None for
    an argument that is missing."""
    switches: Mapping[str, Operation[Any, Any, Any]] = field(default_factory=dict[str, Any])
    """Options that mean another operation: `--now`. Their help is its first line."""
    example: str = ""
    before: Callable[[Shell, Request], Request] | None = None
    """What a command does before it asks: it makes paths whole, says what is about to be, asks."""
    is_asked_before: bool = False
    """Whether `before` asks, and `--yes` answers."""
    finish: Callable[[Shell, Answer, Request], int] | None = None
    """Follows work to its end and writes it, instead of `show`; returns the exit code."""


@dataclass(frozen=True, slots=True, eq=False)
class Operation(Generic[Place, Request, Answer]):
    """One operation; calling it does it. Errors are those of the function."""

    name: str
    """Such as `run.cancel`: unique, and the permission's name."""
    function: Callable[[Place, Caller, Request], Answer]
    role: Role
    kind: Kind
    method: str
    path: str
    """The path below the prefix of the API, with its parameters: `/runs/{run_id}/cancel`."""
    cli: Cli[Request, Answer] | None
    is_private: bool = False
    """Whether it is served on sockets of the store's owner only: it is about paths of the server,
    or a step of something that others may ask for as a whole."""
    is_secret: bool = False
    """Whether the answer is kept nowhere."""
    timeout_s: float | None = None
    """How long an answer may take from elsewhere; None for as long as most."""
    items: Any = None
    """What the items of a stream are whose lines are bytes already."""
    stream: Operation[Any, Any, Any] | None = None
    """What a question is over HTTP for whoever accepts server-sent events: a stream of what has
    positions, whose request has an `after`."""
    right: Right | None = None
    """The right by which a guest may ask, too, though `role` is another: in a browser, and of the
    nodes on which it was granted."""

    def __call__(self, place: Place, caller: Caller, request: Request) -> Answer:
        """Do it, here or where `place` is. Whoever calls has checked that the role is enough."""
        if caller.role == GUEST:
            # Whatever is asked: there is no way past it to the place where all is seen.
            whole: Any = place
            place = whole.seen_by(caller, self.right)
        if isinstance(place, Elsewhere):
            return place.ask(self, request)
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
        text = json_text(self.plain(answer))
        return json.loads(text, parse_constant=lambda _: None)

    def plain(self, answer: Any) -> Any:
        """Return an answer, or an item of a stream, as plain values."""
        if hasattr(answer, "_asdict"):
            return answer._asdict()  # A row with names; pydantic makes a list of it.
        return adapter_of(self.answer).dump_python(answer)

    @property
    def answer(self) -> Any:
        """The answer's type, of a stream that of its items: what the function says it returns."""
        if self.items is not None:
            return self.items
        told = _annotation(self.function, "return")
        return get_args(told)[0] if self.kind == "stream" else told

    @property
    def request(self) -> type[Request]:
        """The type of its request: what the function says it is asked with."""
        return _annotation(self.function, list(self.function.__annotations__)[-2])

    @property
    def changes(self) -> bool:
        """Tell whether it changes anything."""
        return self.kind in ("change", "work")

    @property
    def help(self) -> str:
        """The function's docstring: what the operation does, for every face of it."""
        return inspect.getdoc(self.function) or ""

    @property
    def asked_by(self) -> str:
        """Who may ask, in words: the least role, and a guest by which right."""
        return self.role if self.right is None else f"{self.role}, or guest with {self.right}"

    @property
    def group(self) -> str:
        """The first word of the name: `run` of `run.cancel`."""
        return self.name.partition(".")[0]


def operation(
    name: str,
    *,
    role: Role,
    kind: Kind,
    route: str,
    cli: Cli[Request, Any] | None = None,
    is_private: bool = False,
    is_secret: bool = False,
    timeout_s: float | None = None,
    items: Any = None,
    stream: Operation[Any, Any, Any] | None = None,
    right: Right | None = None,
) -> Callable[[Callable[[Place, Caller, Request], Answer]], Operation[Place, Request, Answer]]:
    """Describe a plain function as an operation; `route` is a method and a path."""
    method, _, path = route.partition(" ")
    if method not in METHODS or not path.startswith("/"):
        raise ValueError(f"{name}: {route!r} is no method and path")
    if kind in ("change", "work") and method == "GET":
        raise ValueError(f"{name}: a GET changes nothing")

    def describe(
        function: Callable[[Place, Caller, Request], Answer],
    ) -> Operation[Place, Request, Answer]:
        return Operation(
            name=name,
            function=function,
            role=role,
            kind=kind,
            method=method,
            path=path,
            cli=cli,
            is_private=is_private,
            is_secret=is_secret,
            timeout_s=timeout_s,
            items=items,
            stream=stream,
            right=right,
        )

    return describe


@functools.cache
def _annotation(function: Callable[..., Any], name: str) -> Any:
    """Return an annotation of a function, which type checkers alone may have known until now."""
    told = function.__annotations__[name]
    return eval(told, {}, _Names(function.__globals__)) if isinstance(told, str) else told


class _Names(dict[str, Any]):
    """What the annotations of a module may name, imported when it is."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known

    def __missing__(self, name: str) -> Any:
        for known in (self._known, vars(builtins)):
            if name in known:
                return known[name]
        module, there = read_homes(self._known["__file__"])[name]
        return getattr(import_module(module), there)


@functools.cache
def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return what reads and writes documents of a type."""
    return TypeAdapter(kind)


def problem_lines(error: ValidationError) -> list[str]:
    """Return one line for each mistake in a document: where, and what."""
    return [
        f"{'.'.join(map(str, item['loc'])) or 'the request'}: {message_of(item['msg'])}"
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def message_of(message: str) -> str:
    """Return what is wrong; what a rule of ours says is a sentence of its own."""
    return message.removeprefix("Value error, ")


def operations_of(*modules: ModuleType) -> tuple[Operation[Any, Any, Any], ...]:
    """Return the operations that modules define, in the order of their lines."""
    found = [one for module in modules for one in vars(module).values()]
    return tuple(one for one in found if isinstance(one, Operation))
