"""The `[actions]` section of drystone.toml: it owns its settings, frozen once they are read."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from adapters.actions.contract.contract import A4_SCALE
from base.config import read_config


class ActionsConfig(BaseModel):
    """Which actions there are beside the shipped ones, and where their models lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folders: tuple[str, ...] = ()
    """Each has a folder per action with its contract.yaml; relative to drystone.toml. `actions`
    beside that is one of them where it is there: questions to people are written into it."""
    models: dict[str, str | dict[str, str]] = Field(default_factory=dict[str, str | dict[str, str]])
    """The model file of an AC3 by the name of the action, or its files by their names in `pins`;
    relative to drystone.toml."""
    child_count_scale: Annotated[float, Field(gt=0)] = A4_SCALE
    """Children are at most so many times as many as their inputs, unless a contract says otherwise.
    """


def own_folder(config_path: str) -> str:
    """Return the folder beside drystone.toml in which Drystone itself writes contracts."""
    return os.path.join(os.path.dirname(os.path.abspath(config_path)), "actions")


def load_actions_config(path: str | None) -> ActionsConfig:
    """Read the section, with absolute paths; None has no store. UsageError names a wrong field."""
    if path is None:
        return ActionsConfig()
    file = read_config(path)
    config = file.checked(ActionsConfig, "actions")
    folders = tuple(map(file.absolute, config.folders))
    own = own_folder(path)
    if own not in folders and os.path.isdir(own):
        folders = (*folders, own)
    return ActionsConfig(
        folders=folders,
        models={
            name: file.absolute(one)
            if isinstance(one, str)
            else {file_name: file.absolute(path) for file_name, path in one.items()}
            for name, one in config.models.items()
        },
        child_count_scale=config.child_count_scale,
    )
