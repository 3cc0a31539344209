"""Which backups there are: it owns the listing over all disks, chains and what may be forgotten.

Listing reads the small documents only; `whole_copy` reads everything of one backup.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sql.copies import files as backup_copies
from sql.copies.report import NAME, BackupFacts, BackupReport, read_facts, read_report
from sql.core.errors import BackupDamagedError, NotFoundError

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup and the folders of its copies; `report` is None until it was checked."""

    facts: BackupFacts
    copies: tuple[str, ...]
    report: BackupReport | None

    @property
    def name(self) -> str:
        """Name of the folder of each copy."""
        return self.facts.name

    @property
    def good(self) -> bool:
        """Tell whether it was restored for a check, and nothing was wrong."""
        return bool(self.report and self.report.check and not self.report.check.problems)


def new_name(method: str, now: datetime, backups: Iterable[Backup]) -> str:
    """Return the name of a backup begun now; names sort by time, also two of one second."""
    taken = {backup.name.partition("-")[0] for backup in backups}
    while (stamp := f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}") in taken:
        now += timedelta(seconds=1)
    return f"{stamp}-{method}"


def list_backups(folders: Iterable[str], store_id: str) -> list[Backup]:
    """Return the backups of a store in these folders, oldest first."""
    found: dict[str, list[str]] = {}
    for folder in folders:
        for name in os.listdir(folder):
            if NAME.fullmatch(name):
                found.setdefault(name, []).append(os.path.join(folder, name))
    backups: list[Backup] = []
    for name, copies in sorted(found.items()):
        # One copy may be damaged: another one then tells what they are.
        facts = next(filter(None, map(read_facts, copies)), None)
        if facts is not None and facts.store_id == store_id and facts.name == name:
            report = next(filter(None, map(read_report, copies)), None)
            backups.append(Backup(facts, tuple(copies), report))
    return backups


def find_backup(backups: Sequence[Backup], name: str) -> Backup:
    """Return the backup of this name, or the last good one for `latest`; NotFoundError."""
    if name == LATEST:
        good = [backup for backup in backups if backup.good]
        if good:
            return good[-1]
        raise NotFoundError("there is no backup that passed its check; see `drystone db backups`")
    for backup in backups:
        if backup.name == name:
            return backup
    raise NotFoundError(f"there is no backup {name} on the disks; see `drystone db backups`")


def whole_copy(backup: Backup, say: Callable[[str], None]) -> str:
    """Return a copy whose every byte agrees with its sums; BackupDamagedError when there is none.

    Says what is wrong with the copies that were tried before it.
    """
    problems: list[str] = []
    for copy in backup.copies:
        damage = backup_copies.damage_of(copy)
        if not damage:
            return copy
        say(f"the copy {copy} is damaged: {damage[0]}")
        problems += damage
    raise BackupDamagedError(
        f"no copy of {backup.name} is whole; restore another one:\n  " + "\n  ".join(problems)
    )


def of_servers(backups: Sequence[Backup], system_identifiers: Collection[str]) -> list[Backup]:
    """Return the backups of these servers: the one that runs, and those it was restored from.

    Those of another server, or of one that is not known, may be all that is left of a database.
    """
    return [one for one in backups if one.facts.system_identifier in system_identifiers]


def to_forget(backups: Sequence[Backup], kept: int) -> list[Backup]:
    """Return what can be removed, so that `kept` remain; never the last good one. Oldest last."""
    remaining, has_good = 0, False
    forgotten: list[Backup] = []
    for backup in sorted(backups, key=lambda one: one.name, reverse=True):
        if remaining < kept or (backup.good and not has_good):
            remaining += 1
            has_good = has_good or backup.good
        else:
            forgotten.append(backup)
    return forgotten
