"""The store (S01): content-addressed objects in verified replicas over unequal disks.

This is the folder's face. Names are loaded when they are first used: every disk process imports
this package, and pydantic and Typer together would cost each of them 0.2 s and 20 MB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsd.cli.app import app as cli_app
    from fsd.cli.companions import add_chapter, add_companion, set_purge_partner
    from fsd.cli.demo_steps import Demo
    from fsd.client.client import Client
    from fsd.disks.config import load_config
    from fsd.documents.models import RemovalAnswer, StageOutputAnswer
    from fsd.engine.setup import init_store
    from fsd.format.errors import (
        EngineUnavailableError,
        FsdError,
        NotFoundError,
        QuotaError,
        SealedMismatchError,
    )
    from fsd.format.paths import check_identifier, check_relative_path, find_collisions, fold_path

_HOMES = {
    "Client": "fsd.client.client",
    "Demo": "fsd.cli.demo_steps",
    "EngineUnavailableError": "fsd.format.errors",
    "FsdError": "fsd.format.errors",
    "NotFoundError": "fsd.format.errors",
    "QuotaError": "fsd.format.errors",
    "RemovalAnswer": "fsd.documents.models",
    "SealedMismatchError": "fsd.format.errors",
    "StageOutputAnswer": "fsd.documents.models",
    "add_chapter": "fsd.cli.companions",
    "add_companion": "fsd.cli.companions",
    "check_identifier": "fsd.format.paths",
    "check_relative_path": "fsd.format.paths",
    "cli_app": "fsd.cli.app",
    "find_collisions": "fsd.format.paths",
    "fold_path": "fsd.format.paths",
    "init_store": "fsd.engine.setup",
    "load_config": "fsd.disks.config",
    "set_purge_partner": "fsd.cli.companions",
}

__all__ = [
    "Client",
    "Demo",
    "EngineUnavailableError",
    "FsdError",
    "NotFoundError",
    "QuotaError",
    "RemovalAnswer",
    "SealedMismatchError",
    "StageOutputAnswer",
    "add_chapter",
    "add_companion",
    "check_identifier",
    "check_relative_path",
    "cli_app",
    "find_collisions",
    "fold_path",
    "init_store",
    "load_config",
    "set_purge_partner",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module fsd has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, "app" if name == "cli_app" else name)
