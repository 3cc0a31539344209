"""The datasets (S07): what a person describes becomes a folder that a training framework loads.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets.choice.definition_file import load_definition, read_definition
    from datasets.choice.registry import layout_named, layout_names
    from datasets.choice.report import SplitsReport
    from datasets.cli.app import app as cli_app
    from datasets.definition.definition import Definition
    from datasets.definition.errors import (
        CancelledError,
        DatasetError,
        DefinitionError,
        RefusedError,
    )
    from datasets.freeze.building import BuildResult, build
    from datasets.versions.ancestry import Lineage, lineage
    from datasets.versions.comparison import Comparison, compare
    from datasets.versions.exports import ExportResult, export, reproduce
    from datasets.versions.previews import Preview, preview
    from datasets.versions.retirement import Retired, retire
    from datasets.versions.verification import Verification, verify
    from fsd import QuotaError

_HOMES = {
    "BuildResult": "datasets.freeze.building",
    "CancelledError": "datasets.definition.errors",
    "Comparison": "datasets.versions.comparison",
    "DatasetError": "datasets.definition.errors",
    "Definition": "datasets.definition.definition",
    "DefinitionError": "datasets.definition.errors",
    "ExportResult": "datasets.versions.exports",
    "Lineage": "datasets.versions.ancestry",
    "Preview": "datasets.versions.previews",
    "QuotaError": "fsd",
    "RefusedError": "datasets.definition.errors",
    "Retired": "datasets.versions.retirement",
    "SplitsReport": "datasets.choice.report",
    "Verification": "datasets.versions.verification",
    "build": "datasets.freeze.building",
    "cli_app": "datasets.cli.app",
    "compare": "datasets.versions.comparison",
    "export": "datasets.versions.exports",
    "layout_named": "datasets.choice.registry",
    "layout_names": "datasets.choice.registry",
    "lineage": "datasets.versions.ancestry",
    "load_definition": "datasets.choice.definition_file",
    "preview": "datasets.versions.previews",
    "read_definition": "datasets.choice.definition_file",
    "reproduce": "datasets.versions.exports",
    "retire": "datasets.versions.retirement",
    "verify": "datasets.versions.verification",
}

__all__ = [
    "BuildResult",
    "CancelledError",
    "Comparison",
    "DatasetError",
    "Definition",
    "DefinitionError",
    "ExportResult",
    "Lineage",
    "Preview",
    "QuotaError",
    "RefusedError",
    "Retired",
    "SplitsReport",
    "Verification",
    "build",
    "cli_app",
    "compare",
    "export",
    "layout_named",
    "layout_names",
    "lineage",
    "load_definition",
    "preview",
    "read_definition",
    "reproduce",
    "retire",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module datasets has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, "app" if name == "cli_app" else name)
