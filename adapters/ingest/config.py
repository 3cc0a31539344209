"""The `[ingest]` section of drystone.toml: it owns its settings, frozen once they are read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from base.config import read_config

GIB = 1 << 30


class IngestConfig(BaseModel):
    """How scraped folders come in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    package_size_bytes: int = Field(default=4 * GIB, ge=1 << 20)
    """Packages for cold storage hold at most this much; a larger file has one of its own."""
    intent_items: int = Field(default=20_000, ge=100, le=1_000_000)
    """So many rows go into one write-intent, that is into one transaction."""
    packages: bool = True
    """Whether packages for cold storage (TYPE1) are made at all."""


def load_ingest_config(path: str) -> IngestConfig:
    """Read the section; UsageError names the field that is wrong."""
    return read_config(path).checked(IngestConfig, "ingest")
