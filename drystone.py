"""The `drystone` command: one Typer application made of each folder's sub-commands.

It owns the start-up check (is `datasets` ours?), the `test` command and the edge where an exception
becomes one line and an exit code. It never does the work of a sub-command, and it imports a folder
only to ask for its commands.

Exit codes: 0 done, 1 failed, 2 wrong usage or set-up, 3 degraded or incomplete, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import sys
from importlib.machinery import PathFinder
from typing import Annotated

import typer
from typer.main import get_command_name, solve_typer_info_defaults

ROOT = os.path.dirname(os.path.abspath(__file__))

# The folders of the application, as they may appear; each offers its commands as `cli_app` in its
# face.
FOLDERS = ("fsd", "sql", "adapters", "datasets", "jobs", "gui")
FOUNDATION = ("base",)
"""What they stand on; it has no commands."""

TEST_WORKERS_MIN, TEST_WORKERS_MAX = 4, 8
RETRIED_TESTS_MAX, RETRIED_TESTS_STARVED_MAX = 6, 45
SCARCE_STEAL_SHARE, STARVED_STEAL_SHARE = 0.1, 0.25
SEED_VARIABLE = "DRYSTONE_TEST_SEED"
# Random faults against data that was acknowledged: that the same again goes well excuses nothing.
NEVER_EXCUSED = re.compile(
    r"test_(crash|bit_rot|index_check|purge_race|power_cut\w*|copies_killed)\.py"
)

# What writing to a file or a pipe can end with; nothing of it is a mistake of ours.
_STDOUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE)

app = typer.Typer(
    name="drystone",
    help="Drystone: a self-hosted data-asset platform over unequal disks.",
    no_args_is_help=True,
    add_completion=False,
    # Plain text: rich would be half of the start-up time, and logs do not want its frames.
    rich_markup_mode=None,
    # A traceback is for our own mistakes, and then the plain one: people paste it in reports.
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line and exit; a person's mistake becomes one line without a traceback."""
    foreign = foreign_folders()
    if foreign:
        sys.exit(_complain(foreign))
    try:
        try:
            _add_folder_commands()
            _keep_named(app, sys.argv[1:])
            app(prog_name="drystone")
        finally:
            # Here, where a full disk can still be told; at the end of Python it could not.
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, OSError) and _is_of_stdout(error):
            sys.exit(_give_up_stdout(error))
        exit_code = _exit_code(error)
        if exit_code is None:
            raise
        print(f"drystone: {error}", file=sys.stderr)
        sys.exit(exit_code)


def foreign_folders() -> dict[str, str]:
    """Map our folder names that Python would find elsewhere to the place of that package.

    Nothing is imported for this. A folder that does not exist anywhere is not foreign.
    """
    foreign: dict[str, str] = {}
    for name in (*FOUNDATION, *FOLDERS):
        spec = PathFinder.find_spec(name)
        if spec is None or spec.origin is None:
            continue  # Absent, or a plain folder without an __init__: it hides nothing.
        place = os.path.dirname(os.path.realpath(spec.origin))
        if place != os.path.realpath(os.path.join(ROOT, name)):
            foreign[name] = place
    return foreign


def _complain(foreign: dict[str, str]) -> int:
    found = ", ".join(f"'{name}' ({place})" for name, place in foreign.items())
    launcher = os.path.join(ROOT, "drystone")
    print(
        f"drystone: Python finds somebody else's package in place of ours: {found}; "
        "Drystone needs an environment of its own, so uninstall that package "
        f"or call {launcher} with PYTHONPATH unset.",
        file=sys.stderr,
    )
    return 2


def _add_folder_commands() -> None:
    """Join the commands of all folders, and tell the store what starts and stops with it.

    `up` and `down` are the store's, which knows no other folder: a folder whose services belong to
    a store offers them as `companion` in its face, its part of the demo as `demo_chapter`, and what
    compares a backup of the database with the store as `backup_sample_check`, and the database's
    part in a purge as `purge_partner`.
    """
    faces = [
        importlib.import_module(name)
        for name in FOLDERS
        if os.path.exists(os.path.join(ROOT, name, "__init__.py"))
    ]
    for face in faces:
        commands = getattr(face, "cli_app", None)
        if commands is not None:
            app.add_typer(commands)
        companion = getattr(face, "companion", None)
        if companion is not None:
            importlib.import_module("fsd").add_companion(companion)
        sample_check = getattr(face, "backup_sample_check", None)
        if sample_check is not None:
            importlib.import_module("sql").set_sample_check(sample_check)
        partner = getattr(face, "purge_partner", None)
        if partner is not None:
            importlib.import_module("fsd").set_purge_partner(partner)
        chapter = getattr(face, "demo_chapter", None)
        if chapter is not None:
            importlib.import_module("fsd").add_chapter(chapter)


def _keep_named(group: typer.Typer, words: list[str]) -> bool:
    """Leave of all commands the one that `words` begin with, and tell whether there is one.

    Typer makes the parameters of every command that it knows, which took half of the start.
    """
    # An option first may have a value, which only Typer can tell from a command.
    if not words or words[0].startswith("-"):
        return False
    for command in group.registered_commands:
        if command.callback and words[0] == (
            command.name or get_command_name(command.callback.__name__)
        ):
            group.registered_commands, group.registered_groups = [command], []
            return True
    for inner in group.registered_groups:
        name = solve_typer_info_defaults(inner).name
        if not inner.typer_instance or (name and name != words[0]):
            continue
        # Commands of a group without a name are its parent's.
        if _keep_named(inner.typer_instance, words[1:] if name else words) or name:
            group.registered_commands, group.registered_groups = [], [inner]
            return True
    return False


def _is_of_stdout(error: OSError) -> bool:
    """Tell whether this is about what was printed: then one line more fails again."""
    if error.filename is not None or error.errno not in _STDOUT_ERRORS:
        return False
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def _give_up_stdout(error: OSError) -> int:
    """Say why the output ended, unless its reader went away (as `head` does), and drop the rest."""
    if not isinstance(error, BrokenPipeError):
        print(f"drystone: the output cannot be written: {error.strerror}", file=sys.stderr)
    # Or Python would try to write it once more, and complain, when it ends.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return 1


def _exit_code(error: Exception) -> int | None:
    """Return the exit code that one of our own errors carries; None for every other exception.

    Recognised by where its class was defined: no folder is imported only to name its error root.
    """
    if type(error).__module__.partition(".")[0] not in FOLDERS:
        return None
    exit_code = getattr(error, "exit_code", None)
    return exit_code if isinstance(exit_code, int) else None


@app.callback()
def options(
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="The same as --config of a command."),
    ] = None,
) -> None:
    """Take the option that every command of the store has also before the command."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Run pytest only.")] = False,
    long_form: Annotated[
        bool, typer.Option("--long", help="Run the tests of docs/faults.md, for half an hour.")
    ] = False,
    seed: Annotated[
        str, typer.Option("--seed", metavar="S", help="Replay random faults with this seed.")
    ] = "",
) -> None:
    """Run every check: format, lint, types, imports, tests. Other arguments go to pytest."""
    python = sys.executable
    since = _processor_ticks()
    if long_form:
        _run_long_form([python, "-m", "pytest"], seed, context.args)
        return
    seed = os.environ[SEED_VARIABLE] = seed or os.environ.get(SEED_VARIABLE) or _new_seed()
    static_steps = {
        "ruff format": [python, "-m", "ruff", "format", "--check", "."],
        "ruff check": [python, "-m", "ruff", "check", "."],
        "import-linter": [python, os.path.join("tests", "import_contracts.py")],
    }
    failed = (
        []
        if fast
        else [name for name, command in static_steps.items() if not _passes(name, command)]
    )
    # Beside the tests: it takes a minute of one processor, and they wait now and then.
    types = (
        []
        if fast
        else [_Beside("basedpyright", [python, "-m", "basedpyright", "--pythonpath", python])]
    )
    pytest = [python, "-m", "pytest"]
    parallel = _parallel(context.args, _stolen_share(since))
    heading = f"pytest; to replay its random faults: --seed {seed}"
    if not _passes(heading, [*pytest, *parallel, *context.args]) and (
        context.args or not _pass_alone(pytest, _stolen_share(since))
    ):
        failed.append("pytest")
    failed += [step.heading for step in types if not step.passes()]
    if failed:
        print(f"drystone: failed: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _run_long_form(pytest: list[str], seed: str, arguments: list[str]) -> None:
    """Run the fault tests alone, as long as they are; no failure of these counts as an accident."""
    seed = seed or _new_seed()
    replay = f"./drystone test --long --seed {seed}"
    command = [*pytest, *_parallel(arguments), "--long", "--seed", seed, *arguments]
    if not _passes(f"pytest, long form; to replay it: {replay}", command):
        print(f"drystone: failed: pytest; to replay it: {replay}", file=sys.stderr)
        raise typer.Exit(1)


def _new_seed() -> str:
    """Return a seed that nobody chose."""
    import secrets

    return secrets.token_hex(4)


def _parallel(arguments: list[str], stolen_share: float = 0.0) -> list[str]:
    """Spread the whole suite over processes; whoever passes arguments decides for themselves."""
    # More than there are processors, because tests wait; only a few more where the machine is
    # short of them, or all would wait for each other.
    processors = os.cpu_count() or 1
    wanted = processors * 3 // 2 if stolen_share < SCARCE_STEAL_SHARE else processors * 5 // 4
    workers = min(TEST_WORKERS_MAX, max(TEST_WORKERS_MIN, wanted))
    return [] if arguments else ["-n", str(workers)]


def _processor_ticks() -> tuple[int, int]:
    """Return the ticks that were taken from this machine since its start, and those it asked for.

    The kernel counts as stolen what a virtual machine wanted and its host gave to others.
    """
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, irq, soft_irq, stolen = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return 0, 0
    return stolen, user + nice + system + irq + soft_irq + stolen


def _stolen_share(since: tuple[int, int]) -> float:
    """Return which share of the ticks that were asked for since then was taken away."""
    stolen, asked = (now - then for now, then in zip(_processor_ticks(), since, strict=True))
    return stolen / asked if asked else 0.0


def _pass_alone(pytest: list[str], stolen_share: float) -> bool:
    """Run the few tests that failed beside others once more, alone, and name them if they pass.

    Real servers, mounts and kills share a small machine here: a deadline that passes because some
    suites run at once says nothing of the code. Many failures are no such accident (but where
    processors were taken away), nor is one of the tests whose faults are random: these meet another
    moment the next time. Whatever fails alone has failed.
    """
    is_starved = stolen_share > STARVED_STEAL_SHARE
    count_max = RETRIED_TESTS_STARVED_MAX if is_starved else RETRIED_TESTS_MAX
    try:
        with open(os.path.join(ROOT, ".pytest_cache/v/cache/lastfailed"), encoding="utf-8") as file:
            names = sorted(json.load(file))
    except (OSError, ValueError):
        return False
    if not 0 < len(names) <= count_max:
        return False
    if any(map(NEVER_EXCUSED.search, names)):
        return False
    passed = _passes("pytest, what failed, alone", [*pytest, "--last-failed"])
    if passed:
        print(f"drystone: failed beside other tests, passed alone: {', '.join(names)}")
    return passed


def _passes(heading: str, command: list[str]) -> bool:
    """Run one step from the repository root under its heading; its output goes straight through."""
    import subprocess  # Here, because every other command starts without it.

    print(f"== {heading}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


class _Beside:
    """A step that runs while others do; what it says comes at its end."""

    def __init__(self, heading: str, command: list[str]) -> None:
        import subprocess
        import tempfile

        self.heading = heading
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as we do
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=self._said, stderr=subprocess.STDOUT
        )

    def passes(self) -> bool:
        """Wait for it."""
        code = self._process.wait()
        with self._said as said:
            said.seek(0)
            print(f"== {self.heading}\n{said.read().decode()}", end="", flush=True)
        return code == 0


if __name__ == "__main__":
    main()
