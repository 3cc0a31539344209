"""Operations: each is described whole, and shell, HTTP and document follow from that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
import typer
from operation_rules import DOCUMENT, all_operations, written
from pydantic import BaseModel, Field
from typer.testing import CliRunner

import drystone
from adapters.cli.app import WORDS as ADAPTER_WORDS
from base.errors import UsageError
from base.operations.commands import add_command, command_of
from base.operations.operation import Caller, Cli, Wait, adapter_of, operation
from fsd.cli.app import _WORDS
from sql.cli.app import WORDS as DATABASE_WORDS


def test_the_document_lists_every_operation():
    with open(DOCUMENT, encoding="utf-8") as file:
        found = file.read()
    assert found == written(), "write it anew: python tests/operation_rules.py"


@pytest.mark.parametrize("one", all_operations(), ids=lambda one: one.name)
def test_an_operation_is_described_whole(one: Any):
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", one.name)
    assert one.help.endswith((".", ".\n")) and "\n" not in one.help.split(".")[0][:100]
    assert one.role in ("guest", "viewer", "operator", "admin")
    # Whatever changes something is no viewer's, but for what is the viewer's own.
    assert not one.changes or one.role in ("operator", "admin") or one.name == "view.remove"
    in_path = set(re.findall(r"{(\w+)(?::path)?}", one.path))
    assert in_path <= set(one.request.model_fields)
    if one.cli is not None:
        assert set(one.cli.positional) <= set(one.request.model_fields)
    # What a person reads in the help of its command.
    for name, field in one.request.model_fields.items():
        assert field.description or name in ("workflow", "limit", "attempt"), name


def test_names_routes_and_commands_are_unique():
    shown = [one for one in all_operations() if one.cli is not None and one.cli.is_shown]
    for told in (
        [one.name for one in all_operations()],
        [(one.method, re.sub(r"{[\w:]+}", "{}", one.path)) for one in all_operations()],
        [command_of(one) for one in shown],
    ):
        assert [item for item, count in Counter(told).items() if count > 1] == []


LOCAL = {
    "test", "demo", "fixture", "init", "up", "down", "status", "mount", "umount", "doctor",
    "disk rebind", "metrics", "log",
    "db start", "db stop", "db status", "db health", "db dsn", "db psql", "db migrate",
    "db rebuild-tree", "db serve", "db restore",
    "source sniff", "contract check", "contract try", "dataset check",
    "run serve", "worker", "scheduler", "gui serve", "gui status", "api",
    "service install", "service uninstall",
}  # fmt: skip
"""Commands of this machine alone: they start, mend or try it, or work when nothing else does."""


def commands() -> dict[str, bool]:
    """Return every command, and whether it is made of an operation."""
    drystone.app.registered_groups.clear()
    drystone._add_folder_commands()
    found: dict[str, bool] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        for name, one in (inner or {}).items():
            walk(one, (*words, name))
        if inner is None:
            made = command.make_context(words[-1], [], resilient_parsing=True).command
            found[" ".join(words)] = made.callback.__module__ == "base.operations.commands"

    walk(typer.main.get_command(drystone.app), ())
    return found


def test_a_command_is_an_operation_or_of_this_machine_alone():
    found = commands()
    assert {name for name, is_made in found.items() if not is_made} == LOCAL


def test_a_list_of_commands_says_what_their_help_says():
    lines = {
        word: line
        for words in (*_WORDS.values(), DATABASE_WORDS, *ADAPTER_WORDS.values())
        for word, line in words.items()
    }
    helps = {command_of(one): one.help.partition("\n")[0] for one in all_operations()
             if one.cli is not None and one.cli.is_shown}  # fmt: skip
    assert lines == {word: helps[word] for word in lines}


# ---- How a description becomes a command ---------------------------------------------------------


class Wish(BaseModel):
    """What is wished for."""

    model_config = {"extra": "forbid"}

    name: Annotated[str, Field(max_length=5, description="Its name.")]
    count: Annotated[int, Field(ge=1, le=9, description="How many.")] = 1
    tags: Annotated[list[str], Field(description="Again.")] = []
    details: Annotated[dict[str, Any], Field(description="Again.")] = {}
    loud: Annotated[bool, Field(description="Whether it is said aloud.")] = False


class Told(BaseModel):
    """What was heard, and how often."""

    heard: dict[str, Any]
    by: str
    times: int = 1


@operation("wish.plan", role="viewer", kind="question", route="POST /plan")
def plan(place: list[str], caller: Caller, asked: Wish) -> Told:
    """Hear a wish and do nothing."""
    return Told(heard=asked.model_dump(), by="plan")


def _wait(place: list[str], answer: Told) -> Told:
    place.append("waited")
    return answer.model_copy(update={"times": 2})


@operation(
    "wish.tell",
    role="operator",
    kind="change",
    route="POST /wishes",
    cli=Cli(
        positional=("name",),
        options={"details": ("--set",)},
        pairs=("details",),
        files={"details": "--details"},
        dry_run=plan,
        wait=Wait("Until it is heard.", _wait),
        show=lambda answer, asked: print("heard", asked.name, answer.times),
        exit_code=lambda answer, waited: 3 if waited else 0,
    ),
)
def tell(place: list[str], caller: Caller, asked: Wish) -> Told:
    """Tell a wish."""
    place.append(asked.name)
    return Told(heard=asked.model_dump(), by=caller.role)


@pytest.fixture
def place() -> list[str]:
    return []


@pytest.fixture
def app(place: list[str]) -> typer.Typer:
    @contextmanager
    def opened(_config: str | None) -> Iterator[list[str]]:
        yield place

    app = typer.Typer()
    app.callback()(lambda: None)
    add_command(app, tell, opened)
    return app


def run(app: typer.Typer, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["tell", *arguments])


def test_a_command_asks_for_its_operation(app: typer.Typer, place: list[str], tmp_path):
    assert run(app, "moon").output == "heard moon 1\n"
    file = tmp_path / "details.json"
    file.write_text('{"size": 1, "far": true}')
    given = ["--count", "2", "--tags", "a", "--tags", "b", "--set", "size=[2]", "--set", "why=x=y"]
    result = run(app, "moon", *given, "--details", str(file), "--loud", "--json")
    told = Told.model_validate_json(result.output)
    assert told.by == "admin"
    assert told.heard == {
        "name": "moon", "count": 2, "tags": ["a", "b"], "loud": True,
        "details": {"size": [2], "far": True, "why": "x=y"},
    }  # fmt: skip
    assert place == ["moon", "moon"]


def test_a_dry_run_does_nothing_and_waiting_tells_how_it_ended(app: typer.Typer, place: list[str]):
    assert Told.model_validate_json(run(app, "moon", "--dry-run").output).by == "plan"
    assert place == []
    result = run(app, "moon", "--wait")
    assert (result.output, result.exit_code, place) == ("heard moon 2\n", 3, ["moon", "waited"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["moonlight"], "wish tell: name: String should have at most 5 characters"),
        (["moon", "--set", "x"], "'x' is no NAME=VALUE"),
        (["moon", "--details", "/no/such"], "/no/such is no JSON file"),
        (["moon", "--dry-run", "--wait"], "give --dry-run or --wait"),
    ],
)
def test_what_is_wrong_is_one_line(app: typer.Typer, place: list[str], given, words):
    result = run(app, *given)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert place == []


def test_limits_and_defaults_are_those_of_the_request(app: typer.Typer):
    assert run(app, "moon", "--count", "10").exit_code == 2
    told = re.sub(r"[^\w<=-]+", " ", run(app, "--help").output)
    assert "1<=x<=9" in told and "default 1 " in told


def test_documents_are_what_the_function_says():
    assert (tell.request, tell.answer) == (Wish, Told)
    for one in all_operations():
        # Models that type checkers alone know until they are needed come from where they live.
        assert issubclass(one.request, BaseModel) and adapter_of(one.answer).json_schema(), one.name


def test_a_description_that_contradicts_itself_is_refused():
    for kind, route in (("change", "GET /x"), ("question", "GET x"), ("question", "LOOK /x")):
        with pytest.raises(ValueError, match=r"wish\.wrong"):
            operation("wish.wrong", role="operator", kind=kind, route=route)  # type: ignore[arg-type]
