"""Commands of the shell, made from operations.

A command calls the function in its own process, as the owner of the store: it needs no server. It
prints its answer as a table or as lines, and whole with `--json`.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.core import TyperCommand
from typer.main import get_command
from typer.models import CommandInfo

from base.errors import EXIT_CODES, UsageError
from base.operations.operation import (
    Caller,
    Cli,
    Operation,
    Shell,
    operations_of,
)
from base.operations.witness import Witness, WitnessOf, witnessed
from base.options import ConfigOption, JsonOption
from base.output import write_json

Opened = Callable[[str | None], AbstractContextManager[Any]]
"""Opens the place of work of a folder's operations, given the option `--config`."""


class OperationGroup(typer.Typer):
    """A group of commands that imports the operations behind them when one of it is named.

    Operations of the modules whose command begins with the word `group` become its commands;
    `opened` opens their place of work, or that of the module.
    """

    def __init__(
        self, group: str, *modules: str, opened: Opened | None = None, **settings: Any
    ) -> None:
        self.group = group
        self._modules = modules
        self._opened = opened
        super().__init__(**settings)
        self._commands: list[CommandInfo] | None = None

    @property
    def registered_commands(self) -> list[CommandInfo]:
        """The commands of the operations."""
        if self._commands is None:
            self._commands = []
            for module in map(import_module, self._modules):
                for one in operations_of(module):
                    if one.cli and one.cli.is_shown and _group_of(one) == self.group:
                        add_command(self, one, self._opened or module.opened)
        return self._commands

    @registered_commands.setter
    def registered_commands(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, commands: list[CommandInfo]
    ) -> None:
        self._commands = commands


def add_later(
    app: typer.Typer, module: str, commands: Mapping[str, str], opened: Opened | None = None
) -> None:
    """Add the commands of one word of a module, and what each does, in a line.

    A list of all commands imports none of them.
    """
    for word, line in commands.items():
        app.add_typer(_LaterCommand(word, module, line, opened))


class _LaterCommand(typer.Typer):
    """One command without a group, which is made when its arguments are to be read."""

    def __init__(self, word: str, module: str, line: str, opened: Opened | None) -> None:
        super().__init__()
        self.group = word

        def made() -> Any:
            alone = OperationGroup(
                word, module, opened=opened, rich_markup_mode=None, add_completion=False
            )
            return get_command(alone)

        class Later(TyperCommand):
            """Stands for the command in lists."""

            def make_context(self, *args: Any, **settings: Any) -> Any:
                return made().make_context(*args, **settings)

        self.registered_commands.append(
            CommandInfo(word, cls=Later, help=line, callback=lambda: None)
        )


def _group_of(one: Operation[Any, Any, Any]) -> str:
    """Return the word before the last of a command, or the only one."""
    return command_of(one).split()[-2:][0]


def command_of(one: Operation[Any, Any, Any]) -> str:
    """Return the words of an operation's command: `run cancel`."""
    assert one.cli is not None
    return one.cli.command or one.name.replace(".", " ")


def add_command(app: typer.Typer, one: Operation[Any, Any, Any], opened: Opened) -> None:
    """Add the command of an operation to a group, or to the commands without one."""
    cli = one.cli
    assert cli is not None

    def command(**given: Any) -> None:
        context: typer.Context = given.pop("context")
        config, is_json = given.pop("config"), given.pop("json_output")
        waits, is_dry = given.pop("wait_for_it", False), given.pop("dry_run_only", False)
        is_sure = given.pop("is_sure", not cli.is_asked_before)
        if waits and is_dry:
            raise UsageError("give --dry-run or --wait: a dry run starts nothing to wait for")
        meant = _meant(one, given, is_dry=is_dry)
        reads_stdin = "-" in [given[name] for name in cli.loads]
        for name, load in cli.loads.items():
            given[name] = load.read(given[name])
        told = _told(given, cli)
        # Another operation is told what it asks for, and of an argument that names it nothing.
        known = {name: told[name] for name in told if name in meant.request.model_fields}
        request = meant.request_of(known)
        with ExitStack() as stack:
            shell = Shell(is_json, is_sure, stack.enter_context(opened(config)), stack, reads_stdin)
            witness_of: WitnessOf | None = context.obj
            witness = None
            if witness_of is not None and meant.changes:
                witness = witness_of(config, shell.place, stack)
            code = _do(meant, shell, request, witness, waits=waits and meant is one)
        if code:
            raise typer.Exit(code)

    command.__signature__ = inspect.Signature(_parameters(one, cli))  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {}
    text = one.help + (f"\n\n\b\nExample:\n  {cli.example}" if cli.example else "")
    app.command(command_of(one).split()[-1], help=text, epilog=EXIT_CODES)(command)


def _do(
    one: Operation[Any, Any, Any],
    shell: Shell,
    request: BaseModel,
    witness: Witness | None,
    *,
    waits: bool,
) -> int:
    """Do what a command means, from the question before to what is written."""
    cli, place = one.cli, shell.place
    if cli is not None and cli.before is not None:
        request = cli.before(shell, request)
    with witnessed(witness, one, local_caller(), request, "shell"):
        answer = one(place, local_caller(), request)
    if cli is not None and cli.finish is not None:
        return cli.finish(shell, answer, request)
    if waits and cli is not None and cli.wait is not None:
        answer = cli.wait.until(place, answer)
    if one.kind == "stream":
        _tell_items(one, answer, request, is_json=shell.is_json)
    else:
        _tell(one, answer, request, is_json=shell.is_json)
    return cli.exit_code(answer, waits) if cli is not None and cli.exit_code is not None else 0


def _tell_items(
    one: Operation[Any, Any, Any], items: Iterable[Any], request: BaseModel, *, is_json: bool
) -> None:
    show = one.cli.show if one.cli else None
    for item in items:
        if is_json or show is None:
            write_json(one.plain(item))
        else:
            show(item, request)


def _meant(
    one: Operation[Any, Any, Any], given: dict[str, Any], *, is_dry: bool
) -> Operation[Any, Any, Any]:
    """Return the operation that is meant: it, its dry run, or what was called so before."""
    assert one.cli is not None
    for name, other in one.cli.switches.items():
        if given.pop(name):
            return other
    for (name, value), other in one.cli.instead.items():
        if given[name] == value:
            return other
    return one.cli.dry_run if is_dry and one.cli.dry_run is not None else one


def _tell(one: Operation[Any, Any, Any], answer: Any, request: BaseModel, *, is_json: bool) -> None:
    if is_json or one.cli is None or one.cli.show is None:
        write_json(one.document_of(answer))
    else:
        one.cli.show(answer, request)


def local_caller() -> Caller:
    """Return who sits at the command line: whoever may open the store's files owns it."""
    import getpass

    try:
        return Caller(getpass.getuser(), "admin")
    except (KeyError, OSError):
        return Caller("unknown", "admin")


def _parameters(one: Operation[Any, Any, Any], cli: Cli[Any, Any]) -> list[inspect.Parameter]:
    arguments = [
        _parameter(name, one.request.model_fields[name], cli, is_argument=True)
        for name in cli.positional
    ]
    options = [
        _parameter(name, field, cli, is_argument=False)
        for name, field in one.request.model_fields.items()
        if name not in cli.positional and cli.options.get(name) != ()
    ]
    kind = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter("context", kind, annotation=typer.Context),
        inspect.Parameter("json_output", kind, default=False, annotation=JsonOption),
        inspect.Parameter("config", kind, default=None, annotation=ConfigOption),
    ]
    files = [
        inspect.Parameter(
            f"{name}_file",
            kind,
            default=None,
            annotation=Annotated[
                str | None, typer.Option(option, metavar="FILE", help="A JSON object.")
            ],
        )
        for name, option in cli.files.items()
    ]
    for name, other in cli.switches.items():
        first = other.help.partition("\n")[0]
        wanted = Annotated[bool, typer.Option(f"--{name}", help=first)]
        files.append(inspect.Parameter(name, kind, default=False, annotation=wanted))
    if cli.dry_run is not None:
        words = "Only tell what would be; changes nothing."
        wanted = Annotated[bool, typer.Option("--dry-run", help=words)]
        files.append(inspect.Parameter("dry_run_only", kind, default=False, annotation=wanted))
    if cli.is_asked_before:
        wanted = Annotated[bool, typer.Option("--yes", help="Do not ask before that.")]
        files.append(inspect.Parameter("is_sure", kind, default=False, annotation=wanted))
    if cli.wait is not None:
        wanted = Annotated[bool, typer.Option("--wait", help=cli.wait.help)]
        files.append(inspect.Parameter("wait_for_it", kind, default=False, annotation=wanted))
    return [*arguments, *options, *files, *common]


def _told(given: dict[str, Any], cli: Cli[Any, Any]) -> dict[str, Any]:
    """Make documents of NAME=VALUE pairs, and put what a file says below them."""
    told = dict(given)
    for name in cli.pairs:
        if told.get(name):
            told[name] = _pairs(told[name], cli.pairs_as)
    for name in cli.files:
        path = told.pop(f"{name}_file", None)
        if path is None:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                document = json.load(file)
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} is no JSON file: {error}") from error
        if not isinstance(document, dict):
            raise UsageError(f"{path} has to hold a JSON object")
        told[name] = {**document, **(told.get(name) or {})}
    return told


def _parameter(
    name: str, field: FieldInfo, cli: Cli[Any, Any], *, is_argument: bool
) -> inspect.Parameter:
    kind = str if name in cli.loads else _shell_type(field.annotation)
    settings: dict[str, Any] = {"help": field.description or ""}
    if metavar := cli.metavars.get(name):
        settings["metavar"] = metavar
    if kind is int:
        settings |= _limits(field)
    if field.default and not field.is_required() and kind is not bool:
        settings["show_default"] = str(field.default)
    declared = cli.options.get(name, ())
    if kind is bool and field.default is False and not declared:
        declared = (f"--{name.replace('_', '-')}",)  # Without its opposite.
    info = typer.Argument(**settings) if is_argument else typer.Option(*declared, **settings)
    is_needed = field.is_required() and (name, None) not in cli.instead
    if name in cli.loads:
        is_needed = cli.loads[name].is_needed
    default = inspect.Parameter.empty if is_needed else None
    if kind is bool and not is_needed:
        default = field.default
    # What is not given is left out of the request: its default is the model's to say.
    wanted = kind if is_needed or (kind is bool and default is not None) else kind | None
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[wanted, info],
    )


def _limits(field: FieldInfo) -> dict[str, int]:
    found: dict[str, int] = {}
    for rule in field.metadata:
        if (least := getattr(rule, "ge", None)) is not None:
            found["min"] = least
        if (most := getattr(rule, "le", None)) is not None:
            found["max"] = most
    return found


def _shell_type(annotation: Any) -> Any:
    """Return the type that Typer reads for a field."""
    while type(None) in get_args(annotation):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) in (dict, tuple, list):
        return list[str]
    # Literals, times and the like come as text: pydantic reads them, and says what is wrong.
    return annotation if annotation in (bool, int, float) else str


def _pairs(given: list[str], kind: str) -> dict[str, Any]:
    """Return NAME=VALUE pairs as a document; a VALUE that is no JSON is text."""
    found: dict[str, Any] = {}
    for pair in given:
        name, mark, text = pair.partition("=")
        if not mark or not name:
            raise UsageError(f"{pair!a} is no NAME=VALUE")
        value = text if kind == "text" else _value(text)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        found[name] = text if is_number and kind != "json" else value
    return found


def _value(text: str) -> Any:
    if text.startswith("~"):
        return os.path.expanduser(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
