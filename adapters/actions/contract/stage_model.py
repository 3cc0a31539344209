"""What staging hands on: it owns the documents that the run and the apply step get."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict

from adapters.records.errors import AdapterError

# Made once: json.dumps would look for one for each of 50,000 lines.
_encode = json.JSONEncoder().encode


class StagedInput(NamedTuple):
    """One input of a part and where it lies, relative to the input folder.

    `path` is where the first file of the layout that is `of: node` lies.
    """

    node_id: int
    key: str
    path: str
    size_bytes: int = 0
    extension: str = ""
    media_type: str = ""


class LeftOut(NamedTuple):
    """A node of the part that could not be staged: deleted, black-listed, or without bytes."""

    node_id: int
    reason: str


class StagedPart(BaseModel):
    """A part that lies in 3C. JSON-able: `to_json` and `of_json`.

    The inputs of a part may be 50,000, too many for a row of a table: `to_json` leaves them out
    where `inputs_path` (beside the input folder) has them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action_batch_id: int
    layout_id: str
    """Its place below the batch: `<layout>/<run>-<part>`; `<layout>-<part>` where an earlier
    version staged it."""
    part: int
    mode: str
    input_root: str
    output_root: str
    job_id: str = ""
    """The store's job that laid the inputs out."""
    manifest_key: str = ""
    input_bytes: int = 0
    """Of the inputs alone, without relatives and texts."""
    staged_bytes: int = 0
    staged_files: int = 0
    output_bytes_max: int
    """So much is reserved for the output, and so much may be written."""
    inputs: int | None = None
    """How many inputs lie there; None where nobody counted."""
    inputs_path: str = ""
    inputs_sha256: str = ""
    """Of the list's bytes: it lies where programs and other machines may write."""
    files: tuple[StagedInput, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON document, without `files` where a file has them."""
        return self.model_dump(mode="json", exclude={"files"} if self.inputs_path else None)

    def check_files(self) -> None:
        """Refuse a part whose list of inputs is not there any more: all outputs would be strange.

        Raises AdapterError: the part was released, this machine does not see the stage, or
        somebody wrote into the list.
        """
        if self.inputs is not None and self.inputs != len(self.files):
            raise AdapterError(
                f"the list of inputs of part {self.part} of action batch {self.action_batch_id} "
                f"is not what was staged ({self.inputs_path}): was it released or changed, or is "
                "the stage not mounted here?"
            )

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Self:
        """Return the part of a document, with its inputs where a file has them, unchanged."""
        staged = cls.model_validate(document)
        if staged.files or not staged.inputs_path or not os.path.exists(staged.inputs_path):
            return staged
        with open(staged.inputs_path, "rb") as file:
            listed = file.read()
        if hashlib.sha256(listed).hexdigest() != staged.inputs_sha256:
            return staged
        return staged.model_copy(update={"files": unpack_inputs(listed)})


def pack_inputs(files: Iterable[StagedInput]) -> bytes:
    """Return the list of a part's inputs: a JSON line each, in order."""
    return "".join(_encode(one) + "\n" for one in files).encode()


def unpack_inputs(listed: bytes) -> tuple[StagedInput, ...]:
    """Return the inputs of a list."""
    return tuple(StagedInput(*json.loads(line)) for line in listed.splitlines())
