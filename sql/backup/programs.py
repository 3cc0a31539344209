"""PostgreSQL's programs for backups: it owns their options and how their failures are told.

Passwords go by environment, never in arguments, which every user of the machine can read.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence

from psycopg import conninfo

from sql.core import programs
from sql.core.errors import BackupError

LINES_SHOWN = 8
DUMP_NAME = "database.dump"
DUMP_COMPRESSION = "gzip:3"
"""Every build of PostgreSQL reads it; 6, the default, takes twice the time for 3 % less."""
SETTINGS_SINCE = 170_000
"""Older servers do not know a setting that pg_restore makes at the start of its script."""
UNKNOWN_SETTING = b"SET transaction_timeout"
HEAD_LINES_MAX = 64


def dump(dsn: str, folder: str, snapshot_id: str, lock: int) -> None:
    """Write the logical export of one database, as of a snapshot, in pg_dump's custom format."""
    options = ["--format=custom", f"--compress={DUMP_COMPRESSION}", f"--snapshot={snapshot_id}"]
    path = os.path.join(folder, DUMP_NAME)
    _run(["pg_dump", "--no-password", *options, f"--file={path}"], dsn, lock)


def restore(dump_path: str, dsn: str, server_version_number: int, lock: int) -> None:
    """Fill an empty database from a logical export; owners and grants are those of whoever does."""
    # Nor policies: the roles that they name may not exist here. They are made when it is opened.
    options = ["--no-owner", "--no-acl", "--no-policies", "--no-password"]
    if server_version_number >= SETTINGS_SINCE:
        transaction = ["--exit-on-error", "--single-transaction", f"--dbname={_public(dsn)}"]
        _run(["pg_restore", *options, *transaction, dump_path], dsn, lock, add_dsn=False)
        return
    _restore_script([*options, "--file=-", dump_path], dsn, lock)


def _restore_script(arguments: Sequence[str], dsn: str, lock: int) -> None:
    """Restore by way of psql, without what an older server does not know."""
    writer = [programs.program("pg_restore"), *arguments]
    reader = [programs.program("psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-o", os.devnull]
    reader += ["-d", _public(dsn)]
    environment = _environment(dsn)
    with (
        subprocess.Popen(
            writer, stdout=subprocess.PIPE, env=environment, pass_fds=[lock]
        ) as script,
        subprocess.Popen(
            reader, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, pass_fds=[lock]
        ) as psql,
    ):
        assert script.stdout and psql.stdin and psql.stderr
        try:
            for _ in range(HEAD_LINES_MAX):
                line = script.stdout.readline()
                psql.stdin.write(b"" if line.startswith(UNKNOWN_SETTING) else line)
            shutil.copyfileobj(script.stdout, psql.stdin)
            psql.stdin.close()
        except BrokenPipeError:
            script.stdout.close()  # psql says below what is wrong.
        said = psql.stderr.read().decode(errors="backslashreplace")
    if psql.returncode or script.returncode:
        raise BackupError(_failure("psql", said))


def _run(arguments: Sequence[str], dsn: str | None, lock: int, *, add_dsn: bool = True) -> None:
    named = [f"--dbname={_public(dsn)}"] if dsn and add_dsn else []
    done = subprocess.run(
        [programs.program(arguments[0]), *named, *arguments[1:]],
        capture_output=True,
        text=True,
        errors="backslashreplace",
        stdin=subprocess.DEVNULL,
        env=_environment(dsn),
        umask=0o077,
        pass_fds=[lock],
    )
    if done.returncode:
        raise BackupError(_failure(arguments[0], done.stderr))


def _failure(program: str, said: str) -> str:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return f"{program} failed:\n  " + "\n  ".join(lines[-LINES_SHOWN:])


def _public(dsn: str) -> str:
    parts = conninfo.conninfo_to_dict(dsn)
    parts.pop("password", None)
    return conninfo.make_conninfo("", **parts)


def _environment(dsn: str | None) -> dict[str, str]:
    # Certificates and password files of whoever runs us count, as they do for psycopg.
    found = {**programs.ENVIRONMENT, "HOME": _home()}
    secret = conninfo.conninfo_to_dict(dsn).get("password") if dsn else None
    return {**found, "PGPASSWORD": str(secret)} if secret else found


def _home() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return os.sep
