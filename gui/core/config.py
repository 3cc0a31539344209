"""The `[gui]` section of drystone.toml: it owns its settings, frozen once they are read."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field

from base.config import read_config

SECTION = "gui"
PORT_USUAL = 8420


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    """Whether `drystone up` starts the pages."""
    api_enabled: bool = True
    """Whether `drystone up` starts the public port, which has the API and leads to the pages."""
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
    proxies: tuple[str, ...] = ()
    """Addresses or networks of other proxies that say so; of nobody else it is believed."""
    requests_per_s: float = Field(default=50.0, ge=1, le=100_000)
    """So often a token may ask the API, with bursts; an address four times as often."""
    audit_reads: bool = False
    """Whether the audit log tells who read which original: by the public port, or in a zip."""
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
    def pages_path(self) -> str:
        """The socket of the pages, for the public port alone."""
        return os.path.join(self.run_dir, "pages.sock")

    @property
    def trusted_proxies(self) -> list[str]:
        """Whose word counts on who is asking."""
        return [*(("127.0.0.1", "::1") if self.behind_proxy else ()), *self.proxies]

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
    file = read_config(config_path)
    return file.checked(
        GuiConfig,
        SECTION,
        config_path=file.path,
        root=file.root,
        store_id=file.store_id,
        ssd=file.ssd,
    )
