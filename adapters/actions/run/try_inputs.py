"""Inputs of a trial: a folder, or a list of files, as the inputs that a part would have.

Nothing is asked of a store or a database: who has no numbers and keys gets some.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.actions.contract.stage_model import StagedInput
from adapters.actions.stage.parts import NODES_MAX
from adapters.records.folder import extension_of
from base.errors import UsageError
from base.text import safe_text
from fsd import check_relative_path
from sql import key_of, media_type_of

INPUTS_SUFFIX = ".inputs"
LIST_BYTES_MAX = 64 << 20


class ListedInput(BaseModel):
    """A line of a list, as JSON; what is left out is found out from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    node_id: Annotated[int, Field(ge=1)] | None = None
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    extension: str | None = None
    media_type: str | None = None


_NAMES = ("node_id", "key", "path", "size_bytes", "extension", "media_type")
"""The fields of a line that staging wrote (`StagedInput`)."""


def read_inputs(path: str) -> tuple[list[StagedInput], str]:
    """Return the inputs that a folder or a list has, and the folder that they lie in.

    A list has a line for each: its path, or JSON (`ListedInput`, or a line that staging wrote
    beside a part). Paths count from the folder of the list, or from `PART` for `PART.inputs`.
    Raises UsageError with the number of a line that is wrong.
    """
    if os.path.isdir(path):
        inputs = [_found(path, number, ListedInput(path=name)) for number, name in _files(path)]
        return _checked(inputs, path), path
    root = path.removesuffix(INPUTS_SUFFIX)
    if root == path or not os.path.isdir(root):
        root = os.path.dirname(os.path.abspath(path))
    listed: list[StagedInput] = []
    for number, line in enumerate(_lines(path), 1):
        try:
            listed.append(_found(root, number, _read(line)))
        except ValueError as error:
            raise UsageError(f"{safe_text(path)}, line {number}: {_reason(error)}") from None
    return _checked(listed, path), root


def _files(folder: str) -> list[tuple[int, str]]:
    found = [
        os.path.relpath(os.path.join(root, name), folder)
        for root, _, names in os.walk(folder)
        for name in names
        if name not in ("_JOB.json", "_SEALED")
    ]
    return list(enumerate(sorted(found), 1))


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb") as file:
            data = file.read(LIST_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{safe_text(path)} cannot be read: {error.strerror}") from None
    if len(data) > LIST_BYTES_MAX:
        raise UsageError(f"{safe_text(path)} has more than {LIST_BYTES_MAX >> 20} MiB")
    return [line for line in data.decode("utf-8", "surrogateescape").splitlines() if line.strip()]


def _read(line: str) -> ListedInput:
    if line.lstrip()[0] not in "[{":
        return ListedInput(path=line)
    document: Any = json.loads(line)
    if isinstance(document, list):
        document = dict(zip(_NAMES, document, strict=False))  # pyright: ignore[reportUnknownArgumentType]
    return ListedInput.model_validate(document)


def _found(root: str, number: int, said: ListedInput) -> StagedInput:
    """Return an input with all that is known of it; ValueError for one that cannot be."""
    if reason := check_relative_path(said.path):
        raise ValueError(f"{said.path!a} is no path below the inputs: {reason}")
    place = os.path.join(root, said.path)
    is_there = os.path.isfile(place) and not os.path.islink(place)
    size_bytes = os.path.getsize(place) if is_there else said.size_bytes
    if said.size_bytes is not None:
        size_bytes = said.size_bytes
    if size_bytes is None:
        raise ValueError(f"{said.path!a} is not there: put it beside the list, or say size_bytes")
    extension = extension_of(said.path) if said.extension is None else said.extension
    return StagedInput(
        said.node_id or number,
        said.key or (_sha256(place) if is_there else key_of(said.path)),
        said.path,
        size_bytes,
        extension,
        media_type_of(extension) or "" if said.media_type is None else said.media_type,
    )


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(inputs: list[StagedInput], path: str) -> list[StagedInput]:
    if not inputs:
        raise UsageError(f"{safe_text(path)} has no inputs")
    if len(inputs) > NODES_MAX:
        raise UsageError(f"a part has at most {NODES_MAX:,} inputs, and here are {len(inputs):,}")
    for what in ("node_id", "path"):
        seen: set[object] = set()
        for one in inputs:
            value = getattr(one, what)
            if value in seen:
                raise UsageError(f"{safe_text(path)}: two inputs have the {what} {value!a}")
            seen.add(value)
    return sorted(inputs, key=lambda one: one.node_id)


def _reason(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
