"""Operations that make datasets: a preview, a version, and folders of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, Load, operation
from base.output import say, write_line
from datasets.operations.versions import FULL_NAME, FullName
from sql import Place, opened

if TYPE_CHECKING:
    from datasets.definition.definition import Definition
    from datasets.freeze.building import BuildResult
    from datasets.versions.exports import ExportResult
    from datasets.versions.previews import Preview

__all__ = ["opened"]


def _progress(place: Place) -> Any:
    from datasets.operations.output import Progress

    return Progress(place.say)


# ---- By a definition -----------------------------------------------------------------------------


class DefinitionRequest(Document):
    """A dataset that somebody described."""

    definition: Annotated[Any, Field(description="The definition, in YAML.")]


def _file(path: str | None) -> Definition:
    from datasets.choice.definition_file import load_definition

    return load_definition(path or "")


_OF_A_FILE: dict[str, Any] = {
    "positional": ("definition",),
    "metavars": {"definition": "FILE"},
    "loads": {"definition": Load(_file)},
}


def _show_preview(found: Preview, _asked: Any) -> None:
    from datasets.operations.output import write_preview

    write_preview(found)


@operation(
    "dataset.preview",
    role="operator",
    kind="question",
    route="POST /datasets/preview",
    cli=Cli(**_OF_A_FILE, show=_show_preview),
    is_private=True,
)
def preview(place: Place, _caller: Caller, asked: DefinitionRequest) -> Preview:
    """Show what a dataset would contain: files, classes, splits, room and time. Copies nothing."""
    from datasets.versions.previews import preview

    return preview(place.config_path, asked.definition, _progress(place), database=place.database)


def _show_built(built: BuildResult, _asked: Any) -> None:
    from datasets.operations.output import write_report

    write_report(built.report)
    what = "is built" if built.created else "was there already, with the same content"
    say(f"{built.name}@{built.version} {what}: {built.files:,} files")
    write_line(built.manifest_key)


@operation(
    "dataset.build",
    role="operator",
    kind="change",
    route="POST /datasets",
    cli=Cli(**_OF_A_FILE, show=_show_built),
    is_private=True,
)
def build(place: Place, _caller: Caller, asked: DefinitionRequest) -> BuildResult:
    """Freeze a dataset into a manifest in the store; the same content again is the same version."""
    from datasets.freeze.building import build

    return build(place.config_path, asked.definition, _progress(place), database=place.database)


# ---- Folders -------------------------------------------------------------------------------------

ExportId = Annotated[str | None, Field(description="The folder below 3d/ or exports/.")]
_OPTIONS = {"export_id": ("--id",)}


class ExportRequest(Document):
    """Which version becomes a folder, and how."""

    name: FullName
    mode: Annotated[
        Literal["copy", "view"] | None,
        Field(description="copy: on the SSD. view: in the mount. As the definition says."),
    ] = None
    export_id: ExportId = None
    allow_deleted: Annotated[bool, Field(description="Also files that were deleted since.")] = False


def _show_exported(made: ExportResult, _asked: Any) -> None:
    from datasets.operations.output import say_exported

    say_exported(made)


@operation(
    "dataset.export",
    role="operator",
    kind="change",
    route="POST /datasets/{name}/exports",
    cli=Cli(
        positional=("name",),
        options=_OPTIONS,
        metavars={"name": FULL_NAME, "mode": "[copy|view]", "export_id": "ID"},
        show=_show_exported,
    ),
    is_private=True,
)
def export(place: Place, _caller: Caller, asked: ExportRequest) -> ExportResult:
    """Make a folder of a built version, as a sealed copy on the SSD or as a view in the mount."""
    from datasets.versions.exports import export

    told = asked.model_dump(exclude={"name"})
    return export(
        place.config_path, asked.name, **told, progress=_progress(place), database=place.database
    )


class ReproduceRequest(Document):
    """Which manifest becomes a folder, and how."""

    manifest: Annotated[str, Field(description="Key of a stored manifest.")]
    mode: Annotated[Literal["copy", "view"], Field(description="As a copy or a view.")] = "copy"
    export_id: ExportId = None


@operation(
    "dataset.reproduce",
    role="operator",
    kind="change",
    route="POST /dataset-exports",
    cli=Cli(
        positional=("manifest",),
        options=_OPTIONS,
        metavars={"manifest": "MANIFEST", "mode": "[copy|view]", "export_id": "ID"},
        show=_show_exported,
    ),
    is_private=True,
)
def reproduce(place: Place, _caller: Caller, asked: ReproduceRequest) -> ExportResult:
    """Make the tree of a manifest again, byte for byte, from the store alone."""
    from datasets.versions.exports import reproduce

    told = asked.model_dump(exclude={"manifest"})
    return reproduce(place.config_path, asked.manifest, **told, progress=_progress(place))
