"""The `[gui]` section of drystone.toml: it owns its settings, frozen once they are read."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base.errors import UsageError

SECTION = "gui"
PORT_USUAL = 8420


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    """Whether `drystone up` starts it."""
    host: str = "127.0.0.1"
    """The address to listen on; anything but this machine wants a proxy with TLS in front."""
    port: int | None = Field(default=None, ge=0, le=65_535)
    """None takes PORT_USUAL, or a free one where another store has that; 0 takes a free one.
    run/gui.json says which."""
    names: tuple[str, ...] = ()
    """Names under which browsers may reach it besides localhost and plain addresses."""
    secure_cookie: bool = False
    """Set when it is reached by https only."""
    behind_proxy: bool = False
    """Set when a proxy on this machine says in X-Forwarded-For who is asking."""
    poll_interval_s: float = Field(default=1.5, ge=0.2, le=60)
    session_idle_hours: float = Field(default=72.0, gt=0, le=24 * 365)
    session_hours: float = Field(default=24.0 * 30, gt=0, le=24 * 365)
    thumbnail_cache_bytes: int = Field(default=2_000_000_000, ge=10_000_000)
    thumbnail_workers: int = Field(default=2, ge=1, le=16)


class GuiConfig(_Section):
    """The section, and where the store it belongs to keeps what runs."""

    config_path: str
    root: str
    store_id: str
    ssd: str

    @property
    def run_dir(self) -> str:
        """Folder of the address, the secret, the pid file and the log."""
        return os.path.join(self.root, "run")

    @property
    def address_path(self) -> str:
        """The file that says where the running server listens."""
        return os.path.join(self.run_dir, "gui.json")

    @property
    def thumbnail_dir(self) -> str:
        """Folder of the thumbnails' cache, on the SSD; it may be lost."""
        return os.path.join(self.ssd, "thumbnails")

    @property
    def cookie_name(self) -> str:
        """Name of the session cookie; cookies know no ports, and a machine may have two stores."""
        return f"drystone_{self.store_id[:8]}"


def load_gui_config(config_path: str) -> GuiConfig:
    """Read the section; UsageError names the field that is wrong."""
    try:
        with open(config_path, "rb") as file:
            document: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{config_path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{config_path} is not valid TOML: {error}") from error
    root = os.path.dirname(os.path.abspath(config_path))
    try:
        section = _Section.model_validate(document.get(SECTION, {}))
        return GuiConfig(
            **section.model_dump(),
            config_path=os.path.abspath(config_path),
            root=root,
            store_id=document["store"]["store_id"],
            ssd=os.path.normpath(os.path.join(root, os.path.expanduser(document["ssd"]))),
        )
    except ValidationError as error:
        lines = [
            f"{SECTION}.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise UsageError(f"{config_path} is refused:\n  " + "\n  ".join(lines)) from error
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"{config_path} lacks `ssd` or [store]; `drystone init` writes them"
        ) from error
