"""The datasets (S07): what a person describes becomes a folder that a training framework loads.

This is the folder's face. Names are loaded when they are first used.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from datasets.choice.definition_file import load_definition, read_definition
    from datasets.choice.registry import layout_names
    from datasets.choice.report import SplitsReport
    from datasets.cli.app import app as cli_app
    from datasets.definition.errors import (
        CancelledError,
        ChangedError,
        DefinitionError,
        NotFoundError,
        RefusedError,
    )
    from datasets.freeze.building import build
    from datasets.operations.listed import datasets_operations
    from datasets.versions.comparison import Comparison, compare
    from datasets.versions.exports import export
    from datasets.versions.folders import NamedFile, called, named_files, names_as_they_came
    from datasets.versions.previews import Preview, preview
    from fsd import QuotaError

__getattr__ = lazy_face(__name__, __file__)
