"""`drystone db ...`: it owns the commands about the server and the schema as a whole.

Nothing heavy is imported before a command runs. Errors are raised as SqlError; the front door turns
them into one line and an exit code.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.errors import EXIT_CODES, EXIT_FAILED, DrystoneError
from base.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from sql.core.config import DatabaseConfig
    from sql.core.errors import SqlError
    from sql.core.health import BackupHealth

app = typer.Typer()


@app.command(epilog=EXIT_CODES)
def start(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Start the embedded server and bring the schema up to date.

    Does nothing when it runs. `drystone up` does this too.
    """
    from base.config import find_config
    from base.output import say, write_json
    from sql.cli.database_companion import companion

    path = find_config(config)
    _refuse_foreign(path, "started")
    companion.start(path, say)
    if json_output:
        write_json(_state(path))


@app.command(epilog=EXIT_CODES)
def stop(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Stop the embedded server.

    Open connections are cut, and whatever asks it something later starts it again. `drystone down`
    does this too.
    """
    from base.config import find_config
    from base.output import say, write_json
    from sql.cli.database_companion import companion

    path = find_config(config)
    _refuse_foreign(path, "stopped")
    companion.stop(path, say)
    if json_output:
        write_json(_state(path))


@app.command(epilog=EXIT_CODES)
def status(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell whether the database runs, and where.

    Exit code 1 when it does not.
    """
    from base.config import find_config
    from base.output import write_json, write_line

    state = _state(find_config(config))
    if json_output:
        write_json(state)
    else:
        for name, value in state.items():
            write_line(f"{name:<10}{value}")
    if not state["up"]:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog=EXIT_CODES)
def health(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Show versions, sizes and estimates of rows; starts nothing."""
    from base.output import write_json, write_line, write_table
    from base.text import size_text
    from sql.database.database import Database

    with Database.open(config, start=False) as database:
        found = database.health()
    if json_output:
        write_json(found)
        return
    yes_no = {True: "yes", False: "no"}
    write_line(f"server    PostgreSQL {found.server_version}, up for {found.uptime_s / 60:.0f} min")
    write_line(f"schema    {found.schema_version}")
    write_line(f"size      {size_text(found.size_bytes)}, {found.connections} connections")
    write_line(f"pgvector  {yes_no[found.pgvector_available]}")
    write_line(f"backup    {_backup_text(found.backup)}")
    write_line(f"reader    {yes_no[found.reader_role]} (selectors run as a role that only reads)")
    write_line("")
    rows = [
        (table.name, f"{table.rows_estimate:,}", size_text(table.size_bytes))
        for table in sorted(found.tables, key=lambda table: -table.size_bytes)
    ]
    write_table(("table", ">rows, about", ">size"), rows)


@app.command(epilog=EXIT_CODES)
def dsn(config: ConfigOption = None) -> None:
    """Print the connection string, with its password if it has one, for other programs.

    Starts the embedded server when it does not run.
    """
    from base.config import find_config
    from base.output import say, write_line
    from sql.core.config import load_config
    from sql.database.database import dsn_of

    write_line(dsn_of(load_config(find_config(config)), say))


@app.command(
    epilog=EXIT_CODES,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def psql(context: typer.Context, config: ConfigOption = None) -> None:
    """Open psql on the database; arguments after -- go to it.

    An embedded server that was down is stopped again afterwards, unless others use it by then.

    \b
    Example:
      drystone db psql -- -c 'SELECT count(*) FROM node'
    """
    from psycopg import conninfo

    from base.config import find_config
    from base.output import say
    from sql.core.config import load_config
    from sql.core.connections import parts_of
    from sql.database.database import dsn_of, place_of
    from sql.server import server

    settings = load_config(find_config(config))
    was_down = settings.embedded and server.find(place_of(settings)) is None
    parts = parts_of(dsn_of(settings, say))
    if was_down:
        # Its session may outlive it: the server looks for a lost client when a query has ended.
        parts["application_name"] = f"drystone db psql {os.getpid()}"
    # Not in the arguments, which every user of the machine can read.
    secret = parts.pop("password", None)
    environment = {**os.environ, "PGPASSWORD": str(secret)} if secret else dict(os.environ)
    command = [_psql(settings), "-d", conninfo.make_conninfo("", **parts), *context.args]
    if not was_down:
        _become(command, environment)
    exit_code = _run(command, environment)
    _stop_unused(settings, parts["application_name"])
    raise typer.Exit(exit_code)


@app.command(epilog=EXIT_CODES)
def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what is missing.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring the schema up to date; every command that opens the database does so anyway."""
    from base.config import find_config
    from base.output import say, write_json, write_line
    from sql.core import migrate as way
    from sql.core.config import load_config
    from sql.core.connections import connected
    from sql.database.database import dsn_of

    known = way.known_migrations()
    with connected(dsn_of(load_config(find_config(config)), say)) as connection:
        before = way.schema_version(connection, known)
        # Ends the transaction of that question: each migration is one of its own.
        connection.rollback()
        if not dry_run:
            way.migrate(connection, known)
            way.ensure_reader(connection)
            connection.commit()
    missing = [f"{migration.number:04}_{migration.name}" for migration in known[before:]]
    if json_output:
        write_json({"schema_version": before, "known": len(known), "missing": missing})
        return
    for name in missing:
        write_line(f"{'missing' if dry_run else 'applied'} {name}")
    if not missing:
        say("the schema is up to date")


def _backup_text(backup: BackupHealth | None) -> str:
    if backup is None:
        return "never; make one with `drystone db backup`"
    text = f"{backup.name}, {backup.age_s / 3600:.1f} h ago: {backup.state}"
    if backup.state == "ok":
        return text
    if backup.good_age_s is None:
        return f"{text}; no good one ever"
    return f"{text}; the last good one {backup.good_age_s / 3600:.1f} h ago"


def _psql(settings: DatabaseConfig) -> str:
    """Return a psql: for our own server the one that came with it, which is of its version."""
    from sql.core import programs

    installed = None if settings.embedded else shutil.which("psql")
    return installed or programs.program("psql")


def _become(command: list[str], environment: dict[str, str]) -> None:
    """Turn into another program: then Ctrl-C is its to understand, and its exit code is ours."""
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores this one, and a program would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise _cannot_run(command, error) from error


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run another program to its end, whoever tells us to end; returns the exit code for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    def ignore(_number: int, _frame: object) -> None:
        """Not SIG_IGN, which the program would inherit."""

    # Ctrl-C comes to both of us and is the program's to understand; the others come to us alone.
    # Before the program begins: what came in between would end us, and leave the server behind.
    signal.signal(signal.SIGINT, ignore)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as error:
        raise _cannot_run(command, error) from error
    for number in early:
        child.send_signal(number)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _cannot_run(command: list[str], error: OSError) -> SqlError:
    from sql.core.errors import SqlError

    return SqlError(f"{command[0]} cannot be run: {error.strerror}")


def _stop_unused(settings: DatabaseConfig, ours: str) -> None:
    """Stop the embedded server, unless somebody is connected under another name than ours."""
    from base.output import say
    from sql.core.connections import connected
    from sql.core.statements import statements
    from sql.database.database import place_of
    from sql.server import server

    place = place_of(settings)
    if server.find(place) is None:
        return
    with connected(server.dsn(place)) as connection:
        clients = connection.execute(statements("backup")["clients"]).fetchall()
    others = [name for (name,) in clients if not name.startswith(f"{ours} (")]
    if others:
        say(f"the database stays up, others use it: {', '.join(others)}")
    else:
        server.stop(place)


def _refuse_foreign(path: str, what: str) -> None:
    from base.errors import UsageError
    from sql.core.config import load_config

    if not load_config(path).embedded:
        raise UsageError(f"the database has a dsn in [database] of {path}: it is not {what} by us")


def _state(path: str) -> dict[str, Any]:
    """Return what `db status` answers; the password of a dsn is not in it."""
    from psycopg import conninfo

    from sql.cli.database_companion import companion
    from sql.core.config import load_config
    from sql.core.connections import parts_of
    from sql.database.database import Database, place_of
    from sql.server import server

    config = load_config(path)
    if config.embedded:
        up, text = companion.status(path)
        found = server.find(place_of(config))
        socket = found.socket_folder if found else ""
        return {"up": up, "state": text, "data": config.data, "socket": socket}
    try:
        with Database.connect(config.dsn):
            up, text = True, "answers"
    except DrystoneError as error:
        up, text = False, str(error)
    parts = parts_of(config.dsn) if up else {}
    parts.pop("password", None)
    return {"up": up, "state": text, "dsn": conninfo.make_conninfo("", **parts)}
