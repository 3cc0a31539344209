"""The configuration of the database: it owns the section [database] of drystone.toml.

Of the rest of the file it takes what it needs (the store's id, the SSD, the paths of the disks) and
judges nothing: that is the store's part.
"""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base.errors import ConfigError

CONFIG_NAME = "drystone.toml"
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


def find_config(given: str | None) -> str:
    """Return the path of the configuration: the given file, else one here or above.

    Raises ConfigError that says how to make one.
    """
    if given:
        path = os.path.join(given, CONFIG_NAME) if os.path.isdir(given) else given
        if not os.path.isfile(path):
            raise ConfigError(f"{path} does not exist; make a store with `drystone init ROOT`")
        return os.path.abspath(path)
    folder = os.getcwd()
    while not os.path.isfile(os.path.join(folder, CONFIG_NAME)):
        if folder == os.path.dirname(folder):
            raise ConfigError(
                f"no {CONFIG_NAME} here or above; make a store with `drystone init ROOT`, or name "
                "one with --config FILE or DRYSTONE_CONFIG"
            )
        folder = os.path.dirname(folder)
    return os.path.join(folder, CONFIG_NAME)


def load_config(path: str) -> DatabaseConfig:
    """Read and check the section [database]; ConfigError names the field that is wrong."""
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    root = os.path.dirname(os.path.abspath(path))
    try:
        section = _Section.model_validate(document.get(SECTION, {}))
        return _filled_in(section, document, root)
    except ValidationError as error:
        # Only the reasons: the value could be a password.
        lines = [
            f"{'.'.join([SECTION, *map(str, item['loc'])])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        ]
    except (KeyError, TypeError):
        lines = ["`ssd`, [store] or [[disk]] is missing or mistyped; `drystone init` writes them"]
    raise ConfigError(f"{path} is refused:\n  " + "\n  ".join(lines))


def _filled_in(section: _Section, document: dict[str, Any], root: str) -> DatabaseConfig:
    def absolute(*parts: str) -> str:
        return os.path.normpath(os.path.join(root, os.path.expanduser(os.path.join(*parts))))

    disks = [absolute(disk["path"]) for disk in document.get("disk", [])]
    written = [absolute(folder) for folder in section.backup_folders]
    return DatabaseConfig(
        dsn=section.dsn,
        data=absolute(section.data) if section.data else absolute(document["ssd"], "database"),
        backup_folders=tuple(written or [os.path.join(disk, "database-backup") for disk in disks]),
        backups_kept=section.backups_kept,
        backups_full_every=section.backups_full_every,
        pgbackrest_stanza=section.pgbackrest_stanza,
        pgbackrest_config=section.pgbackrest_config,
        alert_command=section.alert_command,
        statement_timeout_s=section.statement_timeout_s,
        root=root,
        store_id=document["store"]["store_id"],
        ssd=absolute(document["ssd"]),
        disks=tuple(disks),
    )
