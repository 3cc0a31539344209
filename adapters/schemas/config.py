"""The `[schemas]` section of drystone.toml: what makes a table of JSON documents."""

from __future__ import annotations

from adapters.decide.decision import Thresholds
from base.config import read_config


def load_thresholds(path: str) -> Thresholds:
    """Read the section; UsageError names the field that is wrong."""
    return read_config(path).checked(Thresholds, "schemas")
