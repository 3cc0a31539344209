"""The configuration: it owns `drystone.toml`, read once at the edge and frozen afterwards."""

import os
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field, field_validator

from base.config import absolute_path, read_config
from base.logging.config import LogConfig, TelemetryConfig
from base.model import Document

MIB = 1 << 20
GIB = 1 << 30
AREAS = ("3a", "3b", "3c", "3d")
FOREIGN_SECTIONS = frozenset({"database", "ingest", "receive", "jobs", "gui", "actions", "schemas"})
"""Sections of the same file that other folders read and check."""

SizeBytes = Annotated[int, Field(ge=0)]


class DiskConfig(Document):
    """One disk: `path` is only a hint, the id in its identity file decides."""

    disk_id: str
    name: str
    path: str


class StoreConfig(Document):
    """How many copies, how big the shards, how long to wait."""

    store_id: str
    copies_raw: int = Field(default=2, ge=1)
    copies_generated: int = Field(default=2, ge=1)
    shard_size_bytes: int = Field(default=256 * MIB, ge=MIB, le=GIB)
    group_size_bytes: int = Field(default=64 * MIB, ge=MIB, le=128 * MIB, multiple_of=4096)
    min_free_bytes: SizeBytes = GIB
    stall_timeout_s: float = Field(default=15.0, gt=0)
    allow_same_device: bool = False
    # Each writes a group to two disks: with four, four disks are hardly ever idle (on emulated
    # disks a put came from 0.42 to 0.74 of the bound). Each has two groups in memory.
    packer_processes: int = Field(default=4, ge=1, le=16)
    read_back: bool = True
    """Of what is put; without, what a disk wrote wrongly is found by a scrub only."""
    recovered_at_start_bytes: SizeBytes = 8 * MIB
    """Of what a killed engine left open; of tiny objects it takes half a second, a million 16 s."""
    batch_size_bytes: int = Field(default=50 * GIB, ge=MIB)
    scrub_rate_bytes_per_s: SizeBytes = 16_000_000
    """Of each disk; 0 switches the background scrub off."""
    background_copy_rate_bytes_per_s: SizeBytes = 0
    """Of all copies together that the store makes by itself; 0 is no limit."""
    scrub_interval_days: float = Field(default=30.0, gt=0)
    grace_s: float = Field(default=3600.0, ge=0)
    """Of the engine's uptime, before the files of a shard that nobody wants are deleted."""
    compact_dead_share: float = Field(default=0.3, gt=0, le=1)
    """A shard with at least this share of garbage is worth a compaction."""
    manifest_grace_days: float = Field(default=30.0, ge=0)
    """Before a stored manifest that nothing names any more goes with a compaction."""
    smartctl: str = "smartctl"
    """The program that reads the disks' own health; empty switches that off."""


class QuotaConfig(Document):
    """Soft quotas of the SSD areas in bytes; 0 means only the partition limits."""

    inbox_bytes: SizeBytes = 0
    outbox_bytes: SizeBytes = 0
    stage_bytes: SizeBytes = 0
    exports_bytes: SizeBytes = 0
    warn_fill: float = Field(default=0.80, gt=0, le=1)
    refuse_fill: float = Field(default=0.90, gt=0, le=1)
    emergency_fill: float = Field(default=0.95, gt=0, le=1)

    def by_area(self) -> dict[str, int]:
        """Return the quota in bytes of each area `3a` to `3d`."""
        sizes = (self.inbox_bytes, self.outbox_bytes, self.stage_bytes, self.exports_bytes)
        return dict(zip(AREAS, sizes, strict=True))


class AreasConfig(Document):
    """Groups of accounts that may reach an area of the SSD; empty for none but the store's own.

    A group is a name or a number, a mode octal digits. See `engine.area_access`.
    """

    inbox_group: str = ""
    inbox_mode: str = Field(default="3770", pattern="^[0-7]{3,4}$")
    stage_group: str = ""
    stage_mode: str = Field(default="2750", pattern="^[0-7]{3,4}$")

    def by_area(self) -> dict[str, tuple[str, int]]:
        """Return group and mode of each area that has a group."""
        given = {
            "3a": (self.inbox_group, int(self.inbox_mode, 8)),
            "3c": (self.stage_group, int(self.stage_mode, 8)),
        }
        return {area: pair for area, pair in given.items() if pair[0]}


class AlertsConfig(Document):
    """Whom to tell of warnings: a command, a webhook, or both; see `alerts`."""

    command: tuple[str, ...] = ()
    webhook: str = Field(default="", pattern="^(https?://.+)?$")
    secret_file: str = ""
    raise_after_s: float = Field(default=30.0, ge=0)
    end_after_s: float = Field(default=120.0, ge=0)


class MetricsConfig(Document):
    """Where Prometheus may scrape the metrics: an address of this machine and a port, or nowhere.

    Nobody is asked who they are: anything but this machine wants a network that is trusted.
    """

    listen: str = ""

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, listen: str) -> str:
        if listen:
            _address(listen)
        return listen

    @property
    def address(self) -> tuple[str, int] | None:
        """Return host and port, None for nowhere."""
        return _address(self.listen) if self.listen else None


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        number = int(port)
        version = ip_address(host).version
    except ValueError:
        number = version = 0
    if not 0 < number < 1 << 16 or (version == 6) != listen.startswith("["):
        raise ValueError('write an IP address and a port, as "127.0.0.1:9633" or "[::1]:9633"')
    return host, number


class Config(Document):
    """The whole of drystone.toml, with `root` (its folder) added when it is read."""

    root: str = ""
    ssd: str
    mount: str
    store: StoreConfig
    quota: QuotaConfig = QuotaConfig()
    areas: AreasConfig = AreasConfig()
    alerts: AlertsConfig = AlertsConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    disk: tuple[DiskConfig, ...] = ()

    @field_validator("disk")
    @classmethod
    def _check_disks(cls, disks: tuple[DiskConfig, ...]) -> tuple[DiskConfig, ...]:
        for what, values in (
            ("disk_id", [disk.disk_id for disk in disks]),
            ("name", [disk.name for disk in disks]),
        ):
            if twice := [value for value in values if values.count(value) > 1]:
                raise ValueError(f"two of them have the {what} {twice[0]!a}")
        return disks

    @property
    def run_dir(self) -> str:
        """Folder of sockets, process ids, logs and status files."""
        return os.path.join(self.root, "run")

    @property
    def socket_path(self) -> str:
        """Unix socket of the control API."""
        return os.path.join(self.run_dir, "engine.sock")

    @property
    def index_root(self) -> str:
        """Folder of the index generations, on the SSD."""
        return os.path.join(self.ssd, "index")

    @property
    def status_dir(self) -> str:
        """Folder of the status files that the mount shows."""
        return os.path.join(self.run_dir, "status")

    @property
    def log_folder(self) -> str:
        """Folder of the daemons' logs."""
        return os.path.join(self.run_dir, "log")

    @property
    def watch_dir(self) -> str:
        """Folder of what watching the disks remembers, on the SSD; it may be lost."""
        return os.path.join(self.ssd, "watch")

    def area_path(self, area: str) -> str:
        """Return the folder of an SSD area, `3a` to `3d`."""
        return os.path.join(self.ssd, area)

    def copies(self, class_name: str) -> int:
        """Return the copies target of a class, `raw` or `generated`."""
        return self.store.copies_raw if class_name == "raw" else self.store.copies_generated


def load_config(path: str) -> Config:
    """Read and check a configuration file; ConfigError names the field that is wrong."""
    file = read_config(path)
    return _with_absolute_paths(file.checked(Config, without=FOREIGN_SECTIONS, root=file.root))


def _with_absolute_paths(config: Config) -> Config:
    def absolute(path: str) -> str:
        return absolute_path(config.root, path)

    disks = tuple(disk.model_copy(update={"path": absolute(disk.path)}) for disk in config.disk)
    paths = {"ssd": absolute(config.ssd), "mount": absolute(config.mount), "disk": disks}
    if config.alerts.secret_file:
        secret = {"secret_file": absolute(config.alerts.secret_file)}
        return config.model_copy(
            update={**paths, "alerts": config.alerts.model_copy(update=secret)}
        )
    return config.model_copy(update=paths)
