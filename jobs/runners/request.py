"""What is to be run: it owns the shape of a rendered command where it enters the runners.

A worker takes this from a job's payload, which is never trusted: it is checked again here, however
it was made (`adapters.actions` renders it from a contract).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

ARGUMENTS_MAX = 10_000
ARGUMENT_LENGTH_MAX = 100_000


def _absolute(path: str) -> str:
    if not os.path.isabs(path) or os.path.normpath(path) != path.rstrip("/"):
        raise ValueError("must be an absolute path without `..`")
    return path


Text = Annotated[str, StringConstraints(max_length=ARGUMENT_LENGTH_MAX, pattern=r"^[^\x00]*$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,100}$")]
Folder = Annotated[Text, AfterValidator(_absolute)]
Code = Annotated[int, Field(ge=0, le=255)]


class RunRequest(BaseModel):
    """One run of one program over one part.

    `argv` is executed as it is, never by a shell line. `python` puts the worker's own interpreter
    before it. Containers see the input, output and contract folders under the same paths as here.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    runner: Literal["python", "shell", "docker", "k8s"]
    argv: Annotated[tuple[Text, ...], Field(min_length=1, max_length=ARGUMENTS_MAX)]
    input_root: Folder
    output_root: Folder
    cwd: Folder
    contract_folder: Folder | None = None
    environment_allow: tuple[EnvironmentName, ...] = ()
    environment_set: dict[EnvironmentName, Text] = Field(default_factory=dict[str, str])
    timeout_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = 3_600.0
    memory_bytes: Annotated[int, Field(ge=1 << 20)] | None = None
    output_bytes_max: Annotated[int, Field(ge=0)] | None = None
    image: Text | None = None
    gpu: bool = False
    success_codes: tuple[Code, ...] = (0,)
    partial_codes: tuple[Code, ...] = ()
    requires: tuple[Text, ...] = ()
    programs: tuple[Text, ...] = ()
    extra: Text | None = None
    model_files: tuple[Folder, ...] = ()
    attempt: Annotated[int, Field(ge=1, lt=1_000_000)] = 1
    """Number of this try of the part: whoever tries again ends what an earlier one left."""


def read_request(rendered: Any) -> RunRequest:
    """Return a request from a mapping, or from a model or dataclass with the same fields.

    Raises pydantic's ValidationError, which names each field that is wrong.
    """
    if isinstance(rendered, RunRequest):
        return rendered
    if isinstance(rendered, BaseModel):
        rendered = rendered.model_dump()
    elif dataclasses.is_dataclass(rendered) and not isinstance(rendered, type):
        rendered = dataclasses.asdict(rendered)
    if not isinstance(rendered, Mapping):
        raise TypeError("a rendered run is a mapping, a model or a dataclass")
    return RunRequest.model_validate(dict(rendered))
