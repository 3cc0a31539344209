"""The command line around the sub-commands: its errors, its exit codes, its version."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from importlib import metadata

import pytest
import typer
from test_launcher import ROOT, run, write

import drystone


def command_line(
    *arguments: str, code: str = "", **options: object
) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {ROOT!r}); import drystone; {code}\ndrystone.main()"
    return run([sys.executable, "-c", start, *arguments], **options)


def test_help_is_lean():
    after = "import atexit; atexit.register(lambda: print('LOADED', *sys.modules))"
    result = command_line("--help", code=after)
    assert result.returncode == 0
    assert "test" in result.stdout
    heavy = "fsd.documents.models http.client psycopg rq nicegui numpy fastapi uvicorn httpx"
    heavy += " pyfuse3 trio lmdb yaml adapters.operations datasets.operations"
    loaded = set(result.stdout.rpartition("LOADED")[2].split())
    assert {*heavy.split(), "pytest", "asyncio"} & loaded == set()


def test_help_lists_all_commands_under_headings(golden):
    result = command_line("--help", env={**os.environ, "COLUMNS": "100"})
    golden("help.txt", result.stdout)
    assert "Others:" not in result.stdout, "drystone.HELP lacks a command"


def test_no_command_has_two_headings_or_is_not_there():
    named = " ".join(drystone.HELP.values()).split()
    assert len(named) == len(set(named))
    assert set(named) <= {"test", *names_of_commands()}


def test_a_command_without_a_heading_is_listed_too():
    code = """
def another(): 'Not known to HELP.'
drystone._add_folder_commands = lambda: drystone.app.command()(another)
"""
    told = command_line("--help", code=code).stdout
    assert told.endswith("\nOthers:\n  another  Not known to HELP.\n")


HELPS = """
import os, typer
drystone._add_folder_commands()
def help_of(command, words):
    context = command.make_context("drystone", [], resilient_parsing=True)
    for word in words:
        inner = context.command.commands[word]
        context = inner.make_context(word, [], context, resilient_parsing=True)
    return context.get_help()
def paths(command, words):
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, [*words, name])
whole = typer.main.get_command(drystone.app)
for words in paths(whole, []):
    if os.fork() == 0:
        drystone._keep_named(drystone.app, words)
        alone = typer.main.get_command(drystone.app)
        if words:
            print(len(words), help_of(alone, words) == help_of(whole, words), flush=True)
        os._exit(0)
    os.wait()
sys.exit()
"""


def test_each_command_is_what_it_was_when_no_other_is_made():
    result = command_line(code=HELPS)
    assert result.returncode == 0, result.stderr
    told = result.stdout.splitlines()
    assert len(told) > 150 and {line.split()[1] for line in told} == {"True"}
    assert {line.split()[0] for line in told} == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["ls", "--json"], 1),
        (["disk", "list"], 1),
        (["disk", "no such command"], 1),
        (["--config", "ls", "status"], None),
        (["no such command"], None),
        ([], None),
    ],
)
def test_only_the_named_command_is_made(words, left):
    code = f"""
import typer
drystone._add_folder_commands()
drystone._keep_named(drystone.app, {words!r})
print(len(typer.main.get_command(drystone.app).commands))
sys.exit()
"""
    count = int(command_line(code=code).stdout)
    assert count == left if left else count > 30


def test_somebody_elses_package_is_refused(tmp_path):
    (tmp_path / "datasets").mkdir()
    write(str(tmp_path / "datasets" / "__init__.py"), "raise SystemExit('was imported')")
    result = command_line("--help", code=f"sys.path.insert(0, {str(tmp_path)!r})")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert str(tmp_path / "datasets") in result.stderr


def raising(statement: str) -> str:
    """Return code that makes the sub-commands of the folders raise."""
    return f"""
from base.errors import DrystoneError
class Told(DrystoneError): exit_code = 3
def fail(): {statement}
drystone._add_folder_commands = lambda: drystone.app.command()(fail)
"""


def test_a_persons_mistake_is_one_line():
    result = command_line("fail", code=raising("raise Told('disk d1 is full')"))
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == "drystone: disk d1 is full\n"


def test_our_own_mistake_shows_where():
    result = command_line("fail", code=raising("raise ValueError('oops')"))
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_interrupt_is_silent():
    result = command_line("fail", code=raising("raise KeyboardInterrupt"))
    assert (result.returncode, result.stdout, result.stderr.strip()) == (130, "", "")


def test_wrong_usage_is_2():
    assert command_line("no-such-command").returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("statement", ["print('x' * 100)", "print('x' * 100_000)"])
def test_an_output_that_cannot_be_written_is_one_line(statement):
    with open("/dev/full", "w", encoding="ascii") as full:
        code = f"sys.stdout = open({full.fileno()}, 'w', closefd=False)\n" + raising(statement)
        result = command_line("fail", code=code, pass_fds=[full.fileno()])
    assert result.returncode == 1
    assert result.stderr == "drystone: the output cannot be written: No space left on device\n"


def test_the_version_is_that_of_the_package():
    result = command_line("--version")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"drystone {metadata.version('drystone')}\n"


def names_of_commands() -> list[str]:
    names = []
    for folder in drystone.FOLDERS:
        commands = importlib.import_module(folder).cli_app
        names += typer.main.get_group(commands).commands
    return names


def test_no_command_hides_another():
    names = names_of_commands()
    assert sorted(set(names)) == sorted(names)
