"""The `drystone` command: one Typer application made of each folder's sub-commands.

It owns the start-up check (is `datasets` ours?) and the edge where an exception becomes one line
and an exit code. It never does the work of a sub-command, and it imports a folder only to ask for
its commands.

Exit codes: 0 done, 1 failed, 2 wrong usage or set-up, 3 degraded or incomplete, 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from importlib.machinery import PathFinder
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command_name, solve_typer_info_defaults

ROOT = os.path.dirname(os.path.abspath(__file__))

# The folders of the application, as they may appear; each offers its commands as `cli_app` in its
# face.
FOLDERS = ("fsd", "sql", "adapters", "datasets", "jobs", "gui")
FOUNDATION = ("base",)
"""What they stand on; it has no commands."""

# What writing to a file or a pipe can end with; nothing of it is a mistake of ours.
_STDOUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE)

HELP = {
    "First steps": "demo fixture init up status log down doctor test",
    "Store": "put seal get head ls stage export views unpublish mount umount health warnings "
    "losses capacity jobs job metrics alerts purge pin pins unpin",
    "Disks": "disk verify scrub fsck rebuild reindex compact",
    "Database": "db select node asset collection stats",
    "Collect": "inbox ingest request source schema quarantine outbox restore audit",
    "Work": "contract batch action pipeline label approve run schedule queue worker scheduler gpu",
    "Datasets": "dataset",
    "People and services": "events webhook gui view token group grant audit-log api service",
}
"""What `--help` lists under which heading, and in which order."""


class Commands(TyperGroup):
    """The commands of all folders, which are too many for one list."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write them under the headings of HELP; what it does not name comes last."""
        shown = {name: self.commands[name] for name in self.list_commands(ctx)}
        groups = {heading: names.split() for heading, names in HELP.items()}
        named = {name for names in groups.values() for name in names}
        groups["Others"] = [name for name in shown if name not in named]
        width = max(map(len, shown))
        for heading, names in groups.items():
            rows = [
                # All headings have one column of names.
                (name.ljust(width), shown[name].get_short_help_str(formatter.width - 6 - width))
                for name in names
                if name in shown and not shown[name].hidden
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="drystone",
    cls=Commands,
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
            if sys.argv[1:] in ([], ["--help"], ["--version"]):
                _keep_lines(app)
            _keep_named(app, sys.argv[1:])
            app(prog_name="drystone", obj=_witness)
        finally:
            # Here, where a full disk can still be told; at the end of Python it could not.
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from base.errors import DrystoneError  # It is ours: that is known by now.

        if isinstance(error, OSError) and _is_of_stdout(error):
            sys.exit(_give_up_stdout(error))
        if not isinstance(error, DrystoneError):
            raise
        print(f"drystone: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _witness(*place: Any) -> Any:
    """Return who keeps in the audit log what a command changes."""
    return importlib.import_module("sql").shell_witness(*place)


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
    a store offers them as `companion` (and `api_companion`) in its face, its part of the demo as
    `demo_chapter`, and what store and cold storage add to a backup as `backup_partner`.
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
        for companion in (getattr(face, "api_companion", None), getattr(face, "companion", None)):
            if companion is not None:
                importlib.import_module("fsd").add_companion(companion)
        backup_partner = getattr(face, "backup_partner", None)
        if backup_partner is not None:
            importlib.import_module("sql").set_backup_partner(backup_partner)
        chapter = getattr(face, "demo_chapter", None)
        if chapter is not None:
            importlib.import_module("fsd").add_chapter(chapter)


def _keep_lines(group: typer.Typer) -> None:
    """Leave of groups their names and lines: a list of them needs none of their commands."""
    for inner in group.registered_groups:
        if inner.typer_instance is None:
            continue
        if solve_typer_info_defaults(inner).name:
            inner.typer_instance.registered_commands = []
            inner.typer_instance.registered_groups = []
        else:
            _keep_lines(inner.typer_instance)


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
        # What has one word only is not imported for another.
        if getattr(inner.typer_instance, "group", words[0]) != words[0]:
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


def _tell_version(is_wanted: bool) -> None:
    """Print the version and end, where it is asked for."""
    if is_wanted:
        from base.version import version  # Here, because it takes a while, and few ask.

        print(f"drystone {version()}")
        raise typer.Exit


@app.callback()
def options(
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="The same as --config of a command."),
    ] = None,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    """Take the option that every command of the store has also before the command."""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,  # It is the runner's, as all options of it are.
)
def test(context: typer.Context) -> None:
    """Run every check: format, lint, types, imports, tests. Other arguments go to pytest."""
    runner = os.path.join(ROOT, "tests", "run.py")
    if not os.path.exists(runner):
        print(f"drystone: {runner} is not there: tests come with a checkout only", file=sys.stderr)
        raise typer.Exit(2)
    os.execv(sys.executable, [sys.executable, runner, *context.args])


if __name__ == "__main__":
    main()
