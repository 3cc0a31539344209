"""The store (S01): content-addressed objects in verified replicas over unequal disks.

This is the folder's face. Names are loaded when they are first used: every disk process imports
this package, and pydantic and Typer together would cost each of them 0.2 s and 20 MB.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fsd.cli import app as cli_app
    from fsd.cli_output import (
        duration_text,
        safe_text,
        say,
        size_text,
        write_json,
        write_line,
        write_table,
    )
    from fsd.cli_session import EXIT_CODES, EXIT_INCOMPLETE, ConfigOption, JsonOption
    from fsd.client import Client
    from fsd.companions import add_chapter, add_companion
    from fsd.config import find_config, load_config
    from fsd.demo_steps import Demo
    from fsd.errors import (
        EngineUnavailableError,
        FsdError,
        NotFoundError,
        QuotaError,
        SealedMismatchError,
    )
    from fsd.models import RemovalAnswer, StageOutputAnswer
    from fsd.paths import check_identifier, check_relative_path, find_collisions, fold_path
    from fsd.setup import init_store

_HOMES = {
    "Client": "fsd.client",
    "ConfigOption": "fsd.cli_session",
    "Demo": "fsd.demo_steps",
    "EXIT_CODES": "fsd.cli_session",
    "EXIT_INCOMPLETE": "fsd.cli_session",
    "EngineUnavailableError": "fsd.errors",
    "FsdError": "fsd.errors",
    "JsonOption": "fsd.cli_session",
    "NotFoundError": "fsd.errors",
    "QuotaError": "fsd.errors",
    "RemovalAnswer": "fsd.models",
    "SealedMismatchError": "fsd.errors",
    "StageOutputAnswer": "fsd.models",
    "add_chapter": "fsd.companions",
    "add_companion": "fsd.companions",
    "check_identifier": "fsd.paths",
    "check_relative_path": "fsd.paths",
    "cli_app": "fsd.cli",
    "duration_text": "fsd.cli_output",
    "find_collisions": "fsd.paths",
    "find_config": "fsd.config",
    "fold_path": "fsd.paths",
    "init_store": "fsd.setup",
    "load_config": "fsd.config",
    "safe_text": "fsd.cli_output",
    "say": "fsd.cli_output",
    "size_text": "fsd.cli_output",
    "write_json": "fsd.cli_output",
    "write_line": "fsd.cli_output",
    "write_table": "fsd.cli_output",
}

__all__ = [
    "EXIT_CODES",
    "EXIT_INCOMPLETE",
    "Client",
    "ConfigOption",
    "Demo",
    "EngineUnavailableError",
    "FsdError",
    "JsonOption",
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
    "duration_text",
    "find_collisions",
    "find_config",
    "fold_path",
    "init_store",
    "load_config",
    "safe_text",
    "say",
    "size_text",
    "write_json",
    "write_line",
    "write_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module fsd has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, "app" if name == "cli_app" else name)
