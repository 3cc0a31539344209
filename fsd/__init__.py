"""The store (S01): content-addressed objects in verified replicas over unequal disks.

This is the folder's face. Names are loaded when they are first used: every disk process imports
this package, and pydantic and Typer together would cost each of them 0.2 s and 20 MB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsd.cli import app as cli_app
    from fsd.client import Client
    from fsd.config import load_config
    from fsd.errors import FsdError
    from fsd.setup import init_store

_HOMES = {
    "Client": "fsd.client",
    "FsdError": "fsd.errors",
    "cli_app": "fsd.cli",
    "init_store": "fsd.setup",
    "load_config": "fsd.config",
}

__all__ = ["Client", "FsdError", "cli_app", "init_store", "load_config"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module fsd has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, "app" if name == "cli_app" else name)
