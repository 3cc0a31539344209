"""The `[receive]` section of drystone.toml: how often what was received is tried."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from base.config import read_config
from base.model import Document

Code = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,60}$")]


class ReceiveConfig(Document):
    """When a window that cannot be stored or described is tried again, before it is given up."""

    attempts_max: int = Field(default=5, ge=1, le=100)
    """So many tries; what is missing afterwards is a dead letter."""
    backoff_s: float = Field(default=10.0, ge=0, le=86_400)
    """Before the second try; before each further one it is twice as long."""
    not_retried: tuple[Code, ...] = ()
    """Codes of errors that another try does not change, beside mistakes in what is asked."""


def load_receive_config(path: str) -> ReceiveConfig:
    """Read the section; UsageError names the field that is wrong."""
    return read_config(path).checked(ReceiveConfig, "receive")
