"""From a plan to copies with a name: it owns the barriers of a backup.

First copy -> sums -> fsync -> second copy -> fsync -> both read back -> rename -> fsync. Until the
rename nothing is listed; whatever a crash leaves is called `.tmp-`.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from base.errors import DrystoneError
from sql.backup.make import Plan, make_copy
from sql.copies import files as backup_copies
from sql.copies import folders as backup_folders
from sql.copies.folders import COPIES_WANTED, Target
from sql.copies.report import BackupFacts
from sql.core.config import DatabaseConfig
from sql.core.errors import BackupError

FULL = os.strerror(errno.ENOSPC)
"""What Python and PostgreSQL's programs say of a full disk; then another one is tried."""


@dataclass
class Written:
    """What has come of a plan so far; `copies` have their names and are durable."""

    plan: Plan
    warnings: list[str] = field(default_factory=list[str])
    copies: list[str] = field(default_factory=list[str])
    facts: BackupFacts | None = None


def write_backup(
    config: DatabaseConfig, written: Written, lock: int, say: Callable[[str], None]
) -> None:
    """Make, copy, verify and publish; fewer than two copies are a warning, none is BackupError."""
    targets, warnings = backup_folders.find_targets(config)
    written.warnings += warnings
    if not targets:
        raise BackupError(
            "no folder can take a copy; name some as backup_folders in [database] of drystone.toml"
            + "".join(f"\n  {line}" for line in warnings)
        )
    begun: list[Target] = []
    try:
        _write_all(config, written, targets, begun, lock, say)
    except BaseException:
        for target in begun:
            _discard(target, written.plan)
        raise
    for target in begun:
        written.copies.append(backup_copies.publish(target.folder, written.plan.name))


def _write_all(
    config: DatabaseConfig,
    written: Written,
    targets: Sequence[Target],
    begun: list[Target],
    lock: int,
    say: Callable[[str], None],
) -> None:
    first = _write_first(config, written, targets, lock, say)
    begun.append(first)
    source = backup_copies.temporary_path(first.folder, written.plan.name)
    for target in targets:
        if len(begun) < COPIES_WANTED and target is not first:
            damage = _write_second(source, target, written.plan, say)
            if damage:
                written.warnings.append(f"no copy in {target.folder}: {damage}")
            else:
                begun.append(target)
    damaged = backup_copies.damage_of(source)
    if damaged:
        raise BackupError(f"{first.folder} does not keep what is written: {damaged[0]}")
    written.warnings += backup_folders.warnings_about(begun)
    if len(begun) < COPIES_WANTED:
        written.warnings.append(f"{len(begun)} of {COPIES_WANTED} copies: add or mend a disk")


def _write_first(
    config: DatabaseConfig,
    written: Written,
    targets: Sequence[Target],
    lock: int,
    say: Callable[[str], None],
) -> Target:
    for target in targets:
        folder = backup_copies.temporary_path(target.folder, written.plan.name)
        say(f"writing {folder}")
        try:
            os.mkdir(folder, 0o700)
            written.facts = make_copy(config, written.plan, folder, lock)
            backup_copies.seal(folder)
            backup_copies.sync_tree(folder)
            return target
        except (DrystoneError, OSError) as error:
            _discard(target, written.plan)
            if FULL not in str(error) or target is targets[-1]:
                raise
            written.warnings.append(f"{target.folder} is full: {error}")
        except BaseException:
            _discard(target, written.plan)
            raise
    raise AssertionError("there is at least one target")


def _write_second(source: str, target: Target, plan: Plan, say: Callable[[str], None]) -> str:
    """Copy the first copy; returns what went wrong, with nothing left of it."""
    folder = backup_copies.temporary_path(target.folder, plan.name)
    say(f"writing {folder}")
    try:
        backup_copies.copy(source, folder)
        backup_copies.sync_tree(folder)
        damaged = backup_copies.damage_of(folder)
    except OSError as error:  # shutil.Error is one too, with a list of all that failed.
        damaged = [str(error)[:500]]
    except BaseException:
        _discard(target, plan)
        raise
    if damaged:
        _discard(target, plan)
        return damaged[0]
    return ""


def _discard(target: Target, plan: Plan) -> None:
    folder = backup_copies.temporary_path(target.folder, plan.name)
    shutil.rmtree(folder, ignore_errors=True)
