"""The section [log] of drystone.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from base.logging.file import FILE_SIZE_BYTES, FILES_KEPT


class LogConfig(BaseModel):
    """What is logged, and how much is kept of each daemon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    file_size_bytes: int = Field(default=FILE_SIZE_BYTES, ge=65_536, le=1 << 30)
    files_kept: int = Field(default=FILES_KEPT, ge=1, le=100)

    def words(self) -> list[str]:
        """Return it as arguments, for a daemon that has to start also where the file is broken."""
        return [self.level, str(self.file_size_bytes), str(self.files_kept)]


class TelemetryConfig(BaseModel):
    """Where spans go: the base of an OTLP/HTTP address, such as `http://collector:4318`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(default="", pattern=r"^(https?://[^\s/?#]+[^\s?#]*)?$")
