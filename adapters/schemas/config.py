"""The `[schemas]` section of drystone.toml: what makes a table of JSON, and who accepts it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from adapters.decide.decision import Thresholds
from base.config import read_config

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class SchemasConfig(Thresholds):
    """What makes a table of JSON documents, and which schemas need nobody to accept them."""

    auto_migrate: tuple[Name, ...] = Field(default=(), max_length=1_000)
    """Schemas whose proposals are accepted by themselves, until somebody rolls one back."""

    @property
    def thresholds(self) -> Thresholds:
        """What a decision needs of it."""
        return Thresholds.model_validate(self.model_dump(exclude={"auto_migrate"}))


def load_schemas_config(path: str) -> SchemasConfig:
    """Read the section; UsageError names the field that is wrong."""
    return read_config(path).checked(SchemasConfig, "schemas")
