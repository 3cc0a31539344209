"""The formats (S03): scraped folders in, nodes and edges out; and UA_1, which carries them in.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.backup_sample import sample_check as backup_sample_check
    from adapters.cli import app as cli_app
    from adapters.demo import chapter as demo_chapter
    from adapters.errors import AdapterError
    from adapters.folder import ScrapeFolder
    from adapters.items import Adapter, Link, MediaFile, Observation, Problem, Record, Sniff
    from adapters.registry import adapter_named, adapters, sniff

_HOMES = {
    "Adapter": "adapters.items",
    "AdapterError": "adapters.errors",
    "Link": "adapters.items",
    "MediaFile": "adapters.items",
    "Observation": "adapters.items",
    "Problem": "adapters.items",
    "Record": "adapters.items",
    "ScrapeFolder": "adapters.folder",
    "Sniff": "adapters.items",
    "adapter_named": "adapters.registry",
    "adapters": "adapters.registry",
    "backup_sample_check": "adapters.backup_sample",
    "cli_app": "adapters.cli",
    "demo_chapter": "adapters.demo",
    "sniff": "adapters.registry",
}

_NAMES_THERE = {
    "backup_sample_check": "sample_check",
    "cli_app": "app",
    "demo_chapter": "chapter",
}

__all__ = [
    "Adapter",
    "AdapterError",
    "Link",
    "MediaFile",
    "Observation",
    "Problem",
    "Record",
    "ScrapeFolder",
    "Sniff",
    "adapter_named",
    "adapters",
    "backup_sample_check",
    "cli_app",
    "demo_chapter",
    "sniff",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module adapters has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
