"""What others add to a backup: it owns the one hook for it.

This folder knows neither the store nor cold storage. The front door says who does; without that a
backup reports that no file was compared, and no package is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sql.backup.without_secrets import Export

CheckSample = Callable[[list[str]], list[str]]
"""Takes keys (64 hexadecimal digits), returns a line for each that the store cannot read."""


@dataclass(frozen=True, slots=True)
class Packaged:
    """Packages for cold storage that were made with a backup, and what could not be packed.

    With `problems` the backup is incomplete; `warnings` are only told.
    """

    packages: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Packager = Callable[["Export", Callable[[str], None]], Packaged]
"""Takes the database of a good backup, and whom to tell how far it is; raises no error of ours."""


class BackupPartner(Protocol):
    """Who knows store and cold storage; both methods take the path of a drystone.toml."""

    def sample_check(self, config_path: str) -> CheckSample:
        """Return what compares files of a backup with the store."""
        ...

    def packager(self, config_path: str) -> Packager:
        """Return what makes packages for cold storage of a good backup."""
        ...


_partners: list[BackupPartner] = []


def set_backup_partner(partner: BackupPartner) -> None:
    """From now on `drystone db backup` asks this one."""
    _partners[:] = [partner]


def backup_partner() -> BackupPartner | None:
    """Return the partner, or None when nobody offered one."""
    return _partners[0] if _partners else None
