"""Services of the machine: it owns how the units in `systemd/` become those of one store.

Each unit is a template with @NAMES@; nothing else of it is changed. The units of a system go to
/etc/systemd/system and run as the owner of the store; those of one person to their own manager.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from base.errors import UsageError
from fsd import load_config
from gui.core.errors import GuiError

APPLICATION = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TEMPLATES = os.path.join(APPLICATION, "systemd")
SYSTEM_FOLDER = "/etc/systemd/system"
USER_FOLDER = "~/.config/systemd/user"
HARDENING = "hardening.conf"
NOT_HARDENED = ("drystone-mount@.service",)
FORMER = ("drystone-backup.timer", "drystone-backup.service")
"""Of versions before: the scheduler makes the daily backup."""
WORKERS = ("1-io-default", "2-cpu-default", "3-gpu", "4-io.high-cpu.high-default.high")
"""A number, and the queues it serves; a unit's name can hold no comma."""
_NAME = re.compile(r"@([A-Z_]+)@")
_WORKER = re.compile(r"[0-9]{1,3}(-(io|cpu|gpu|default)(\.high)?)+")
_MARK = "# Made by `drystone service install`; changes belong into a drop-in (systemctl edit).\n"


@dataclass(frozen=True, slots=True)
class Target:
    """Where units go, and for whom."""

    folder: str
    user: bool

    @property
    def systemctl(self) -> list[str]:
        """The program that speaks to the right manager."""
        return ["systemctl", "--user"] if self.user else ["systemctl"]


def target(*, user: bool, folder: str | None = None) -> Target:
    """Return where units go; UsageError when this person may not write there."""
    path = folder or os.path.expanduser(USER_FOLDER if user else SYSTEM_FOLDER)
    if not user and folder is None and os.geteuid() != 0:
        raise UsageError("units of the system are root's: use sudo, or --user for your own")
    return Target(path, user)


def render(
    config_path: str, *, user: bool, workers: tuple[str, ...] = WORKERS, allow_other: bool = False
) -> dict[str, str]:
    """Return the text of every unit and drop-in by its path below the folder of units."""
    values = _values(config_path, user=user, workers=workers, allow_other=allow_other)
    units: dict[str, str] = {}
    for name in sorted(os.listdir(TEMPLATES)):
        with open(os.path.join(TEMPLATES, name), encoding="utf-8") as file:
            text = file.read()
        if name != HARDENING:
            units[name] = _MARK + _filled(text, values)
        elif not user:
            hardened = [unit for unit in os.listdir(TEMPLATES) if unit.endswith(".service")]
            for unit in sorted(set(hardened) - set(NOT_HARDENED)):
                units[f"{unit}.d/{HARDENING}"] = _MARK + text
    return units


def checked_workers(names: list[str] | None) -> tuple[str, ...]:
    """Return the instances of workers; UsageError when one is not NUMBER-QUEUE-QUEUE."""
    for name in names or ():
        if not _WORKER.fullmatch(name):
            raise UsageError(
                f"{name!a} names no worker: a number and its queues, such as 1-io-cpu; "
                "queues are io, cpu, gpu and default"
            )
    return tuple(names) if names else WORKERS


def install(target: Target, units: dict[str, str]) -> list[str]:
    """Write the units that are new or different; returns their paths. Raises GuiError.

    Units that a version before wrote and this one has not are removed.
    """
    written: list[str] = []
    try:
        _remove_former(target)
        for name, text in units.items():
            path = os.path.join(target.folder, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    if file.read() == text:
                        continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path + ".new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(path + ".new", path)
            written.append(path)
    except OSError as error:
        raise GuiError(f"{error.filename}: {error.strerror}; no service was started") from error
    return written


def uninstall(target: Target) -> list[str]:
    """Stop and forget everything that `install` wrote; returns the paths."""
    removed: list[str] = []
    # Stopped first: systemd forgets how a unit is stopped together with the unit.
    tell(target, "disable", "--now", "drystone.target")
    for name in sorted(os.listdir(TEMPLATES)):
        drop_ins = os.path.join(target.folder, f"{name}.d")
        for path in (os.path.join(drop_ins, HARDENING), os.path.join(target.folder, name)):
            if os.path.exists(path):
                os.unlink(path)
                removed.append(path)
        if os.path.isdir(drop_ins) and not os.listdir(drop_ins):
            os.rmdir(drop_ins)
    tell(target, "daemon-reload")
    return removed


def start(target: Target) -> None:
    """Let the manager read the units, and start them now and at every boot. Raises GuiError."""
    tell(target, "daemon-reload")
    # Whatever it says: where there never was one, there is nothing to stop.
    subprocess.run([*target.systemctl, "stop", *FORMER], capture_output=True, check=False)
    tell(target, "enable", "--now", "drystone.target")


def _remove_former(target: Target) -> None:
    for name in FORMER:
        wanted = os.path.join(target.folder, "timers.target.wants", name)
        drop_in = os.path.join(target.folder, f"{name}.d", HARDENING)
        for path in (wanted, drop_in, os.path.join(target.folder, name)):
            if os.path.lexists(path):
                os.unlink(path)


def tell(target: Target, *words: str) -> None:
    """Say something to the service manager; GuiError with its answer when it refuses."""
    if shutil.which(target.systemctl[0]) is None or not os.path.isdir("/run/systemd/system"):
        raise GuiError(
            "systemd does not run this machine; `drystone up` starts everything without it"
        )
    done = subprocess.run([*target.systemctl, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GuiError(f"systemctl {' '.join(words)}: {done.stderr.strip()}")


def _values(
    config_path: str, *, user: bool, workers: tuple[str, ...], allow_other: bool
) -> dict[str, str]:
    config = load_config(config_path)
    owner = pwd.getpwuid(os.stat(config_path).st_uid).pw_name
    fusermount = shutil.which("fusermount3") or "/usr/bin/fusermount3"
    return {
        "ALLOW_OTHER": "--allow-other" if allow_other else "",
        "APPLICATION_PATH": _path(APPLICATION),
        "CONFIG": quoted(os.path.abspath(config_path)),
        "FUSERMOUNT": quoted(fusermount),
        "INDEX_ROOT": quoted(config.index_root),
        "LAUNCHER": quoted(os.path.join(APPLICATION, "drystone")),
        "LOG": " ".join([quoted(config.log_folder), *config.log.words()]),
        "MOUNT_INSTANCE": mount_instance(config.mount),
        "PYTHON": quoted(sys.executable),
        "SOCKET": quoted(config.socket_path),
        "SSD": _path(config.ssd),
        "STATUS_FOLDER": quoted(config.status_dir),
        "USER_LINE": "" if user else f"User={owner}",
        "WANTED_BY": "default.target" if user else "multi-user.target",
        "WORKER_UNITS": " ".join(f"drystone-worker@{name}.service" for name in workers),
    }


def _filled(text: str, values: dict[str, str]) -> str:
    return _NAME.sub(lambda found: values[found.group(1)], text)


def _path(path: str) -> str:
    """A path for settings that take one: percent signs are specifiers there."""
    if "\n" in path:
        raise UsageError(f"{path!a} cannot stand in a unit: it has a line break")
    return path.replace("%", "%%")


def quoted(path: str) -> str:
    """A path as one word of a command line."""
    escaped = _path(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def mount_instance(path: str) -> str:
    """Escape a path as the instance of a unit, as `systemd-escape --path` does."""
    plain = os.path.normpath(path).strip("/")
    escaped: list[str] = []
    for number, byte in enumerate(os.fsencode(plain)):
        letter = chr(byte)
        if letter == "/":
            escaped.append("-")
        elif (
            (letter.isascii() and letter.isalnum()) or letter in ":_" or (letter == "." and number)
        ):
            escaped.append(letter)
        else:
            escaped.append(f"\\x{byte:02x}")
    return "".join(escaped) or "-"
