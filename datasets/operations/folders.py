"""Operations that lay chosen nodes out as a folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import say, write_line
from base.text import size_text
from sql import CHOICE_LOADS, CHOICE_METAVARS, CHOICE_OPTIONS, Chosen, Place, opened

__all__ = ["opened"]


class FolderRequest(Chosen):
    """Which nodes become a folder, and how."""

    folder_id: Annotated[
        str,
        Field(title="Name of the folder", min_length=1, max_length=100,
              description="The folder below 3d/ or exports/."),
    ]  # fmt: skip
    mode: Annotated[
        Literal["view", "copy"],
        Field(
            title="How",
            description="view: in the mount. copy: on the SSD.",
            json_schema_extra={
                "choices": {"view": "a view in the mount, at once and without space",
                            "copy": "a copy on the SSD"}
            },
        ),
    ] = "view"  # fmt: skip


class FolderAnswer(Document):
    """A folder that the store is making: it appears at once and whole when the job is done."""

    job_id: str
    target_root: str
    files: int
    size_bytes: int


def _show(made: FolderAnswer, _asked: FolderRequest) -> None:
    say(f"{made.files:,} files, {size_text(made.size_bytes)}; job {made.job_id} makes it")
    write_line(made.target_root)


@operation(
    "node.export",
    role="operator",
    kind="change",
    route="POST /nodes/export",
    cli=Cli(
        command="dataset folder",
        options={**CHOICE_OPTIONS, "folder_id": ("--id",)},
        metavars={**CHOICE_METAVARS, "folder_id": "ID", "mode": "[view|copy]"},
        loads=CHOICE_LOADS,
        show=_show,
        example="drystone dataset folder --selector cats.yaml --id cats",
    ),
    timeout_s=1_200.0,
)
def export(place: Place, caller: Caller, asked: FolderRequest) -> FolderAnswer:
    """Begin a folder of the files of nodes, by the names with which they came in.

    The store makes it, as a view in the mount or a copy on the SSD; `drystone jobs` tells when it
    is there. The same again does nothing; another choice of nodes needs another name.
    """
    from datasets.versions.exports import client_of
    from datasets.versions.folders import make_folder
    from sql import chosen_by

    client = client_of(place.config_path)
    chosen = chosen_by(place, caller, asked)
    made, files = make_folder(place.database, client, chosen, asked.folder_id, asked.mode)
    return FolderAnswer(
        job_id=made.job_id,
        target_root=made.target_root,
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
    )
