"""A database that was made new although backups of another exist: it owns the mark that says so.

The mark is a small file beside the data folder. It goes when a backup is put in place, or when a
person removes it because the new database is wanted. It makes and restores nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from sql.core.config import DatabaseConfig

MARK_ENDING = ".made-new"


def mark_path(config: DatabaseConfig) -> str:
    """Return where the mark lies; it holds the name of the backup to restore."""
    return config.data + MARK_ENDING


def tell_if_new(config: DatabaseConfig, say: Callable[[str], None]) -> None:
    """Call it before a server starts: mark and say that backups exist and the data are new."""
    if not _is_empty(config.data):
        return
    from sql.copies import folders as backup_folders
    from sql.copies import listing as backup_list

    try:
        folders = backup_folders.readable_folders(config)
        backups = backup_list.list_backups(folders, config.store_id)
    except OSError as error:
        say(f"warning: whether the disks hold backups of the database is not known: {error}")
        return
    if not backups:
        return
    good = [backup.name for backup in backups if backup.good]
    name = good[-1] if good else backups[-1].name
    # Without a mark there is still what is said now.
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(config.data), exist_ok=True)
        with open(mark_path(config), "w", encoding="ascii") as file:
            file.write(name + "\n")
    say(
        f"warning: the database in {config.data} is made new and empty, but the disks hold backups "
        f"of one, the last{' good' * bool(good)} being {name}: "
        f"`drystone db restore {backup_list.LATEST if good else name} --replace --yes`"
    )


def warning(config: DatabaseConfig) -> str:
    """Return a line about a new database whose backups were not restored, or ''."""
    try:
        with open(mark_path(config), encoding="ascii") as file:
            name = file.read().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return (
        f"the database was made new although the disks held backups: `drystone db restore {name} "
        f"--replace --yes`, or remove {mark_path(config)} to stay with the new one"
    )


def forget(config: DatabaseConfig) -> None:
    """Remove the mark: a backup is in its place now."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(mark_path(config))


def _is_empty(data: str) -> bool:
    try:
        return not os.listdir(data)
    except FileNotFoundError:
        return True
    except OSError:  # Somebody else's, so it is there.
        return False
