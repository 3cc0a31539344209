"""`drystone db restore`: a backup, into a new database or folder, or in place of the live one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import EXIT_CODES
from base.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from sql.backup.restore_database import Restored

app = typer.Typer()


@app.command(epilog=EXIT_CODES)
def restore(
    name: Annotated[str, typer.Argument(metavar="BACKUP", help="Its name, or `latest`.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="DSN", help="Into a new database there.")
    ] = None,
    to_folder: Annotated[
        str | None, typer.Option("--to-folder", metavar="FOLDER", help="Into a new data folder.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="In the place of the embedded database.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Cut off whoever is connected.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only verify, and tell which copy it would be.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Restore a backup: into a new database, a new data folder, or in place of the live one.

    --replace keeps the former data folder beside the new one. A damaged copy is found by its sums,
    and another one is used.
    """
    from base.errors import UsageError
    from base.output import say, write_json, write_line
    from sql.backup import restore_database

    if sum((to is not None, to_folder is not None, replace)) != 1:
        raise UsageError("say where to: one of --to DSN, --to-folder FOLDER, --replace")
    if dry_run:
        found, copy = restore_database.describe(config, name, say)
        answer = {"name": found.name, "copy": copy, "dry_run": True}
        write_json(answer) if json_output else write_line(f"{found.name} would come from {copy}")
        return
    if to is not None:
        done = restore_database.restore_to_database(config, name, to, say)
    elif to_folder is not None:
        done = restore_database.restore_to_folder(config, name, to_folder, say)
    else:
        done = restore_database.restore_in_place(config, name, say, cut_off=yes)
    _show_restored(done, json_output=json_output)


def _show_restored(done: Restored, *, json_output: bool) -> None:
    from dataclasses import asdict

    from base.output import write_json, write_line

    if json_output:
        write_json(asdict(done))
        return
    write_line(f"{done.name} ({done.source}) is in {done.target}")
    write_line(f"{done.tables} tables, {done.rows:,} rows, as they were backed up")
    if done.aside:
        write_line(f"the former data lie in {done.aside}; remove them when you are sure")
