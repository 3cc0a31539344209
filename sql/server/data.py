"""The data folder of the embedded server: it owns its making, its owner and its version.

It starts nothing but initdb, and changes no data folder that is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from base.files import sync_folder
from sql.core import programs
from sql.core.errors import DatabaseUnavailableError

USER_NAME = "drystone"
DATABASE_NAME = "drystone"
HERE = "/proc/self/cwd"
"""PostgreSQL is told that its data lie where it stands: then they may be below a folder that is
closed to the system user that root runs it as."""
LINES_SHOWN = 12


def make_data(data: str, say: Callable[[str], None]) -> programs.Account:
    """Make the data folder if there is none, and return whose it is.

    It is made beside its place and renamed, so a crash leaves no half of one. Raises
    DatabaseUnavailableError, also for a folder that we cannot use as it is.
    """
    version = data_version(data)
    if version:
        return _checked_owner(data, version)
    account, making = programs.server_account(), data.rstrip("/") + ".making"
    try:
        if os.path.isdir(data) and os.listdir(data):
            raise DatabaseUnavailableError(
                f"{data} holds other things and no database; empty it, or name another folder as "
                "data in [database] of drystone.toml"
            )
        say(f"making a database in {data}")
        shutil.rmtree(making, ignore_errors=True)
        os.makedirs(making, mode=0o700)
        if os.geteuid() != account.uid:
            os.chown(making, account.uid, account.gid)
        _initdb(making, account)
        os.rename(making, data)
        sync_folder(os.path.dirname(data))
    except OSError as error:
        raise DatabaseUnavailableError(
            f"no database can be made in {data}: {error.strerror}; check the folder and its owner, "
            "or name another as data in [database] of drystone.toml"
        ) from error
    return account


def data_version(data: str) -> str:
    """Return the major version that wrote a data folder, or '' when there is no database in it."""
    try:
        with open(os.path.join(data, "PG_VERSION"), encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise DatabaseUnavailableError(f"{data} cannot be read: {error.strerror}") from error


def _initdb(folder: str, account: programs.Account) -> None:
    access = ["--auth-local=trust", "--auth-host=reject", "-U", USER_NAME]
    arguments = ["initdb", "-D", HERE, *access, "-E", "UTF8", "--locale=C.UTF-8"]
    _must_work(programs.run_in(folder, account, arguments))
    # In single-user mode, before the folder gets its name: no server without its database is seen.
    create = f"CREATE DATABASE {DATABASE_NAME}\n"
    single = ["postgres", "--single", "-D", HERE, "postgres"]
    _must_work(programs.run_in(folder, account, single, text_in=create))


def _must_work(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode or "ERROR:" in done.stderr:
        lines = (done.stderr or done.stdout).strip().splitlines()[-LINES_SHOWN:]
        raise DatabaseUnavailableError("PostgreSQL's initdb failed:\n" + "\n".join(lines))


def _checked_owner(data: str, version: str) -> programs.Account:
    if version != str(programs.MAJOR_VERSION):
        raise DatabaseUnavailableError(
            f"{data} was written by PostgreSQL {version}, and this is {programs.MAJOR_VERSION}, "
            "which cannot read it: restore a logical export (`drystone db backup` makes them) into "
            "a new data folder"
        )
    owner, ourselves = os.stat(data).st_uid, os.geteuid()
    if owner == 0:
        wanted = programs.server_account().name
        raise DatabaseUnavailableError(
            f"{data} belongs to root, as whom PostgreSQL does not run: chown -R {wanted} {data}"
        )
    if ourselves not in (0, owner):
        name = programs.account_of(owner).name
        raise DatabaseUnavailableError(
            f"{data} belongs to {name}, and you are {programs.account_of(ourselves).name}: run "
            f"this as {name} or as root"
        )
    return programs.account_of(owner)
