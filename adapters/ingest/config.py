"""The `[ingest]` section of drystone.toml: it owns its settings, frozen once they are read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from base.config import read_config

GIB = 1 << 30
MIB = 1 << 20


class IngestConfig(BaseModel):
    """How scraped folders come in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package_size_bytes: int = Field(default=4 * GIB, ge=MIB)
    """Packages for cold storage hold at most this much; a larger file has one of its own."""
    intent_items: int = Field(default=20_000, ge=100, le=1_000_000)
    """So many rows go into one write-intent, that is into one transaction."""
    packages: bool = True
    """Whether packages for cold storage (TYPE1) are made; without, the inbox is freed at once."""
    database_package_days: float = Field(default=0.0, ge=0)
    """So many days lie between two packages of the database; 0 is one with every good backup."""


def package_size_bytes_max(settings: IngestConfig, outbox_quota_bytes: int) -> int:
    """Return what packages are cut to: two of them fit into the quota of the outbox (0 is none)."""
    if not outbox_quota_bytes:
        return settings.package_size_bytes
    return max(MIB, min(settings.package_size_bytes, outbox_quota_bytes // 2))


def load_ingest_config(path: str) -> IngestConfig:
    """Read the section; UsageError names the field that is wrong."""
    return read_config(path).checked(IngestConfig, "ingest")
