"""Which backups there are: it owns the listing over all disks, chains and what may be forgotten.

Listing reads the small documents only; `whole_copy` reads everything of one backup.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sql.backup import copies as backup_copies
from sql.backup.report import NAME, BackupFacts, BackupReport, read_facts, read_report
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


def chain_of(backups: Sequence[Backup], backup: Backup) -> list[Backup]:
    """Return what a base backup builds upon, the full one first and itself last."""
    known = {one.name: one for one in backups}
    missing = [name for name in backup.facts.chain if name not in known]
    if missing:
        raise BackupDamagedError(
            f"{backup.name} builds upon {', '.join(missing)}, of which there is no copy now; "
            "is a disk missing?"
        )
    return [known[name] for name in backup.facts.chain]


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


def of_server(backups: Sequence[Backup], system_identifier: str) -> list[Backup]:
    """Return the backups of this server, each with the chain that it is part of.

    Those of another server, or of one that is not known, may be all that is left of a database.
    """
    ours = {
        backup.facts.chain[0]
        for backup in backups
        if backup.facts.system_identifier == system_identifier
    }
    return [backup for backup in backups if backup.facts.chain[0] in ours]


def to_forget(backups: Sequence[Backup], kept: int) -> list[Backup]:
    """Return what can be removed, in the order of removal, so that at least `kept` remain.

    Only whole chains, because an increment without what it builds upon is nothing; and never the
    last good backup with what it builds upon. The end of a chain goes first.
    """
    chains: dict[str, list[Backup]] = {}
    for backup in backups:
        chains.setdefault(backup.facts.chain[0], []).append(backup)
    remaining, has_good = 0, False
    forgotten: list[Backup] = []
    for _, chain in sorted(chains.items(), key=lambda item: item[1][-1].name, reverse=True):
        good = any(backup.good for backup in chain)
        if remaining < kept or (good and not has_good):
            remaining += len(chain)
            has_good = has_good or good
        else:
            forgotten += reversed(chain)
    return forgotten
