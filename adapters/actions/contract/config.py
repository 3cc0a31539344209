"""The `[actions]` section of drystone.toml: it owns its settings, frozen once they are read."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from base.errors import UsageError


class ActionsConfig(BaseModel):
    """Which actions there are beside the shipped ones, and where their models lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[str, ...] = ()
    """Each has a folder per action with its contract.yaml; relative to drystone.toml."""
    models: dict[str, str] = Field(default_factory=dict[str, str])
    """The model file of an AC3 by the name of the action; relative to drystone.toml."""


def load_actions_config(path: str | None) -> ActionsConfig:
    """Read the section, with absolute paths; None has no store. UsageError names a wrong field."""
    if path is None:
        return ActionsConfig()
    with open(path, "rb") as file:
        document: dict[str, Any] = tomllib.load(file)
    try:
        config = ActionsConfig.model_validate(document.get("actions", {}))
    except ValidationError as error:
        lines = [
            f"actions.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
        raise UsageError(f"{path} is refused:\n  " + "\n  ".join(lines)) from error
    root = os.path.dirname(os.path.abspath(path))

    def absolute(one: str) -> str:
        return os.path.normpath(os.path.join(root, os.path.expanduser(one)))

    return ActionsConfig(
        folders=tuple(map(absolute, config.folders)),
        models={name: absolute(one) for name, one in config.models.items()},
    )
