"""pgBackRest, for a PostgreSQL that is a system service: it owns driving its command line.

Where its repositories lie, and how many, is pgBackRest's own configuration. It runs as the owner of
the server's data, on the server's machine; nothing is assumed about versions: it refuses those that
it does not know, and its words are passed on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import conninfo

from base.errors import UsageError
from sql.core import programs
from sql.core.config import DatabaseConfig
from sql.core.connections import connect_once
from sql.core.errors import BackupError, DatabaseUnavailableError
from sql.core.statements import statements

PROGRAM = "pgbackrest"
LINES_SHOWN = 8
START_TIMEOUT_S = 900.0
POLL_S = 0.1
_SETTINGS = "listen_addresses = ''\nfsync = off\nautovacuum = off\narchive_mode = off\n"


@dataclass(frozen=True, slots=True)
class _Service:
    """The server as the machine sees it."""

    data: str
    programs: str
    superuser: str
    account: programs.Account


def usable(config: DatabaseConfig) -> bool:
    """Tell whether a stanza is configured and the program is there."""
    return bool(config.pgbackrest_stanza and shutil.which(PROGRAM))


def refuse_unusable(config: DatabaseConfig) -> None:
    """Raise UsageError that says what is missing."""
    if config.embedded:
        raise UsageError("pgBackRest is for a system service; the embedded server gets `base`")
    if not config.pgbackrest_stanza:
        raise UsageError("name the stanza as pgbackrest_stanza in [database] of drystone.toml")
    if not shutil.which(PROGRAM):
        raise UsageError(f"{PROGRAM} is not installed here; install it, or use `--method logical`")


def backup(config: DatabaseConfig, dsn: str, lock: int) -> tuple[str, int]:
    """Make a backup, a full one when it is due; returns its label and its size in bytes."""
    service = _service(dsn)
    former = _backups(config, service, lock)
    since_full = next(
        (age for age, one in enumerate(reversed(former)) if one["type"] == "full"), len(former)
    )
    full = not former or since_full + 1 >= config.backups_full_every
    _run(config, service, [f"--type={'full' if full else 'incr'}", "backup"], lock)
    made = _backups(config, service, lock)
    if len(made) == 0 or (former and made[-1]["label"] == former[-1]["label"]):
        raise BackupError(f"{PROGRAM} made no backup of stanza {config.pgbackrest_stanza}")
    return made[-1]["label"], int(made[-1]["info"]["repository"]["delta"])


@contextlib.contextmanager
def restored(config: DatabaseConfig, dsn: str, label: str, lock: int) -> Generator[str]:
    """Yield the connection string of a scratch server with a restored backup."""
    service = _service(dsn)
    # Beside the data: there is room for a database, and its user can reach it.
    root = tempfile.mkdtemp(prefix="drystone-check-", dir=os.path.dirname(service.data))
    try:
        data = os.path.join(root, "data")
        os.mkdir(data, 0o700)
        for path in (root, data):
            if os.geteuid() != service.account.uid:
                os.chown(path, service.account.uid, service.account.gid)
        target = ["--type=immediate", "--target-action=promote", "--archive-mode=off"]
        _run(config, service, [f"--set={label}", f"--pg1-path={data}", *target, "restore"], lock)
        with _running(service, data, root) as folder:
            yield conninfo.make_conninfo(
                "",
                host=folder,
                port=5432,
                user=service.superuser,
                dbname=conninfo.conninfo_to_dict(dsn).get("dbname") or service.superuser,
            )
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def _running(service: _Service, data: str, folder: str) -> Generator[str]:
    """Run a server of the service's own version on a data folder; yields its socket's folder."""
    for name, text in (("postgresql.conf", _SETTINGS), ("pg_hba.conf", "local all all trust\n")):
        with open(os.path.join(data, name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(file.name, 0o644)
    postgres = os.path.join(service.programs, "postgres")
    hba = f"hba_file={os.path.join(data, 'pg_hba.conf')}"
    with (
        open(os.path.join(folder, "log"), "w", encoding="utf-8") as log,
        subprocess.Popen[Any](
            [postgres, "-D", data, "-k", folder, "-p", "5432", "-c", hba],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data,
            env=programs.ENVIRONMENT,
            **programs.identity(service.account),
        ) as server,
    ):
        try:
            _wait(server, service, folder, log.name)
            yield folder
        finally:
            server.send_signal(signal.SIGINT)
            server.wait()


def _wait(server: subprocess.Popen[Any], service: _Service, folder: str, log_path: str) -> None:
    dsn = conninfo.make_conninfo("", host=folder, user=service.superuser, dbname="postgres")
    deadline = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < deadline:
        if _is_up(dsn):
            return
        time.sleep(POLL_S)
    with open(log_path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()[-LINES_SHOWN:]
    raise BackupError("the restored server did not start:\n  " + "\n  ".join(lines))


def _is_up(dsn: str) -> bool:
    try:
        with contextlib.closing(connect_once(dsn)) as connection:
            return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    except DatabaseUnavailableError:
        return False


def _service(dsn: str) -> _Service:
    with contextlib.closing(connect_once(dsn)) as connection:
        row = connection.execute(statements("backup")["service"]).fetchone()
    data, folder, superuser = row or (None, None, None)
    if not data or not folder or not superuser:
        raise UsageError(
            "the database's user may not see where the server's data lie; grant it "
            "pg_read_all_settings, or use `--method logical`"
        )
    try:
        owner = programs.account_of(os.stat(data).st_uid)
    except OSError as error:
        raise UsageError(
            f"pgBackRest must run where the server does, and {data} is not here "
            f"({error.strerror}); use `--method logical`"
        ) from error
    if os.geteuid() not in (0, owner.uid):
        raise UsageError(
            f"pgBackRest must run as {owner.name}: run this as {owner.name} or as root"
        )
    return _Service(data, folder, superuser, owner)


def _backups(config: DatabaseConfig, service: _Service, lock: int) -> list[dict[str, Any]]:
    """Return what pgBackRest tells about its backups of the stanza, oldest first."""
    document = json.loads(_run(config, service, ["--output=json", "info"], lock))
    return document[0].get("backup", []) if document else []


def _run(config: DatabaseConfig, service: _Service, arguments: Sequence[str], lock: int) -> str:
    program = shutil.which(PROGRAM)
    assert program is not None
    options = [f"--stanza={config.pgbackrest_stanza}", "--log-level-console=off"]
    if config.pgbackrest_config:
        options.append(f"--config={config.pgbackrest_config}")
    done = subprocess.run(
        [program, *options, *arguments],
        capture_output=True,
        text=True,
        errors="backslashreplace",
        stdin=subprocess.DEVNULL,
        cwd="/",
        env=programs.ENVIRONMENT,
        umask=0o077,
        pass_fds=[lock],
        **programs.identity(service.account),
    )
    if done.returncode:
        said = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-LINES_SHOWN:])
        raise BackupError(
            f"{PROGRAM} {arguments[-1]} of stanza {config.pgbackrest_stanza} failed (run as "
            f"{service.account.name}):\n  {said}\n"
            "if it does not know this version of PostgreSQL, update it or use `--method logical`"
        )
    return done.stdout
