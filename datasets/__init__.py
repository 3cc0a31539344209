"""The datasets (S07): what a person describes becomes a folder that a training framework loads.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets.ancestry import Lineage, lineage
    from datasets.building import BuildResult, build
    from datasets.cli import app as cli_app
    from datasets.comparison import Comparison, compare
    from datasets.definition import Definition
    from datasets.definition_file import load_definition, read_definition
    from datasets.errors import (
        CancelledError,
        DatasetError,
        DefinitionError,
        RefusedError,
        UsageError,
    )
    from datasets.exports import ExportResult, export, reproduce
    from datasets.previews import Preview, preview
    from datasets.registry import layout_named, layout_names
    from datasets.report import SplitsReport
    from datasets.retirement import Retired, retire
    from datasets.verification import Verification, verify
    from fsd import QuotaError

_HOMES = {
    "BuildResult": "datasets.building",
    "CancelledError": "datasets.errors",
    "Comparison": "datasets.comparison",
    "DatasetError": "datasets.errors",
    "Definition": "datasets.definition",
    "DefinitionError": "datasets.errors",
    "ExportResult": "datasets.exports",
    "Lineage": "datasets.ancestry",
    "Preview": "datasets.previews",
    "QuotaError": "fsd",
    "RefusedError": "datasets.errors",
    "Retired": "datasets.retirement",
    "SplitsReport": "datasets.report",
    "UsageError": "datasets.errors",
    "Verification": "datasets.verification",
    "build": "datasets.building",
    "cli_app": "datasets.cli",
    "compare": "datasets.comparison",
    "export": "datasets.exports",
    "layout_named": "datasets.registry",
    "layout_names": "datasets.registry",
    "lineage": "datasets.ancestry",
    "load_definition": "datasets.definition_file",
    "preview": "datasets.previews",
    "read_definition": "datasets.definition_file",
    "reproduce": "datasets.exports",
    "retire": "datasets.retirement",
    "verify": "datasets.verification",
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
    "UsageError",
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
