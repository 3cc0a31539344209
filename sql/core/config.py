"""The configuration of the database: it owns the section [database] of drystone.toml.

Of the rest of the file it takes what it needs (the store's id, the SSD, the paths of the disks) and
judges nothing: that is the store's part.
"""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field

from base.config import read_config

SECTION = "database"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    dsn: str = Field(default="", repr=False)
    data: str = ""
    backup_folders: tuple[str, ...] = ()
    backups_kept: int = Field(default=7, ge=1)
    backups_full_every: int = Field(default=7, ge=1)
    pgbackrest_stanza: str = ""
    pgbackrest_config: str = ""
    alert_command: tuple[str, ...] = ()
    statement_timeout_s: float = Field(default=60.0, gt=0, le=86_400)


class DatabaseConfig(_Section):
    """The section with its defaults filled in and its paths absolute.

    `dsn` is empty for the embedded server, whose data lie in `data`. `backup_folders` is one folder
    per disk unless somebody wrote others. One of `backups_full_every` backups by pgBackRest is a
    full one. `pgbackrest_config` is empty for pgBackRest's own default.
    `alert_command` gets the report of a backup that failed or is incomplete on its stdin.
    """

    root: str
    store_id: str
    ssd: str
    disks: tuple[str, ...]

    @property
    def embedded(self) -> bool:
        """Tell whether the database is a server of our own."""
        return not self.dsn

    @property
    def run_dir(self) -> str:
        """Folder of the lock, the log and, where its path is short enough, the socket."""
        return os.path.join(self.root, "run")


def load_config(path: str) -> DatabaseConfig:
    """Read and check the section [database]; ConfigError names the field that is wrong."""
    file = read_config(path)
    section = file.checked(_Section, SECTION)
    disks = file.disk_paths
    written = tuple(map(file.absolute, section.backup_folders))
    usual = tuple(os.path.join(disk, "database-backup") for disk in disks)
    return DatabaseConfig(
        **section.model_dump(exclude={"data", "backup_folders"}),
        data=file.absolute(section.data) if section.data else os.path.join(file.ssd, "database"),
        backup_folders=written or usual,
        root=file.root,
        store_id=file.store_id,
        ssd=file.ssd,
        disks=disks,
    )
