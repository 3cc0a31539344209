"""UA_3, the datasets: it owns the steps that freeze one and lay it out, and none of how.

Both can be killed anywhere and begun again: what is stored is found, a sealed export stays. Without
room for a copy the export waits, and goes on when there may be some. While another process builds
the same dataset a build waits for it. What cannot be made of what is there is not tried again.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from datasets import (
    CancelledError as DatasetCancelledError,
)
from datasets import (
    ChangedError,
    NotFoundError,
    QuotaError,
    RefusedError,
    build,
    export,
    load_definition,
    preview,
    read_definition,
)
from jobs.core.errors import CancelledError, GivenBackError, PermanentError, SpaceError
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow
from sql import TurnError

TURN_RETRY_S = 5.0
"""So long until a build looks again whether another one of its dataset has ended; then twice it."""
TURN_DOUBLINGS_MAX = 6


class DatasetParameters(BaseModel):
    """A definition (a document, YAML, or `file`) to build; or the `name` of what is built already.

    `name` is NAME or NAME@VERSION. With `export` it is laid out too, as `mode` or its definition
    says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    definition: dict[str, Any] | str | None = None
    file: str | None = None
    name: str | None = None
    export: bool = True
    mode: Literal["copy", "view"] | None = None
    export_id: str | None = Field(default=None, max_length=100)
    allow_deleted: bool = False

    @model_validator(mode="after")
    def _one_input(self) -> DatasetParameters:
        given = [self.definition, self.file, self.name]
        if sum(one is not None for one in given) != 1:
            raise ValueError("give one of definition, file and name")
        if self.name is not None and not self.export:
            raise ValueError("a name without export asks for nothing")
        return self


def prepare(_config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Read and check the definition now: what its file says later is another request."""
    given = DatasetParameters.model_validate(parameters)
    if given.name is not None:
        return given.model_dump()
    if given.file is not None:
        found = load_definition(given.file)
    else:
        text = given.definition
        found = read_definition(text if isinstance(text, str) else json.dumps(text))
    update = {"definition": found.canonical(), "file": None}
    return given.model_copy(update=update).model_dump()


def freeze(context: TaskContext) -> StepResult:
    """Build the definition into a version, or take the one that was named."""
    given = DatasetParameters.model_validate(context.parameters)
    if given.definition is None:
        return StepResult(pass_on={"name": given.name})
    assert isinstance(given.definition, dict)
    with _told(context):
        built = build(
            context.config_path,
            given.definition,
            lambda phase, done: context.progress(done, text=phase),
            context.cancelled,
            database=context.database,
        )
    context.database.runs.set_size(context.run_id, built.size_bytes)
    values = built.model_dump(mode="json")
    return StepResult(values, pass_on={"name": f"{built.name}@{built.version}"})


def lay_out(context: TaskContext) -> StepResult:
    """Export the version as a copy on the SSD or a view in the mount."""
    given = DatasetParameters.model_validate(context.parameters)
    if not given.export:
        return StepResult()
    with _told(context):
        result = export(
            context.config_path,
            context.spec["name"],
            mode=given.mode,
            export_id=given.export_id,
            allow_deleted=given.allow_deleted,
            progress=lambda phase, done: context.progress(done, text=phase),
            cancelled=context.cancelled,
            database=context.database,
        )
    return StepResult(result.model_dump(mode="json"))


@contextmanager
def _told(context: TaskContext) -> Generator[None]:
    """Say what a failure means for the run: over, not now, or for good."""
    try:
        yield
    except DatasetCancelledError as error:
        context.check_cancelled()
        raise CancelledError(str(error)) from error
    except QuotaError as error:
        raise SpaceError(str(error)) from error
    except TurnError as error:
        pause_s = TURN_RETRY_S * 2 ** min(context.token - 1, TURN_DOUBLINGS_MAX)
        raise GivenBackError(str(error), pause_s) from error
    except (RefusedError, NotFoundError, ChangedError) as error:
        raise PermanentError(str(error)) from error


def dry_run(config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Tell what the dataset would be: counts, classes, splits, room, paths."""
    given = DatasetParameters.model_validate(prepare(config_path, parameters))
    if given.definition is None:
        return {"name": given.name, "export": given.export}
    assert isinstance(given.definition, dict)
    return preview(config_path, given.definition).model_dump(mode="json")


WORKFLOW = Workflow(
    name="ua_3",
    description="Build a dataset by its definition, and export it",
    steps=(
        Step("build", freeze, queue="io"),
        Step("export", lay_out, queue="io"),
    ),
    parameters=DatasetParameters,
    prepare=prepare,
    dry_run=dry_run,
)
