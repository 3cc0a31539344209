"""UA_1 as a workflow: it owns the step that carries one scraped folder in.

All the work is the adapters': every part of it can be killed anywhere and finds what is done, so
the task is simply begun again.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from adapters import (
    RECEIVED_PREFIX,
    Signal,
    check_signal,
    choose_adapter,
    dry_run_folder,
    inbox_root,
    is_signalled,
    load_receive_config,
    read_signal,
    received_priority,
    run_ingest,
)
from base.errors import DrystoneError, UsageError
from base.operations.problem import code_of
from jobs.core.errors import PermanentError
from jobs.runs.workflow import Step, StepResult, TaskContext, Workflow

PROBLEMS_KEPT_MAX = 100


class IngestParameters(BaseModel):
    """What a person says about a folder: see `drystone ingest`.

    What is not said (or is `auto`) is what the folder's `_READY.json` says, where it has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(min_length=1)
    batch: str | None = Field(default=None, min_length=1)
    source: str = "auto"
    user: str | None = None


def prepare(_config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Refuse at once what could never be ingested, and let `auto` become an adapter for good."""
    given = IngestParameters.model_validate(parameters)
    if not os.path.isdir(given.folder):
        raise UsageError(f"{given.folder!a} is not a folder on this machine")
    folder = os.path.realpath(given.folder)
    batch, source, user = given.batch, given.source, given.user
    # Who says everything needs no signal, and one that cannot be used is in nobody's way then.
    if (batch is None or source == "auto") and is_signalled(folder):
        signal = read_signal(folder)
        source = signal.adapter if source == "auto" else source
        batch, user = batch or signal.batch, user or signal.user
    if batch is None:
        raise UsageError(f"say the name of the batch: {folder!a} has no _READY.json that does")
    signal = Signal(folder, batch, choose_adapter(folder, source), user)
    check_signal(signal)
    completed = {"folder": folder, "batch": batch, "source": signal.adapter, "user": user}
    return given.model_copy(update=completed).model_dump()


def size_bytes(config_path: str, parameters: dict[str, Any]) -> int | None:
    """Return how much a window of what was received holds; None for every other folder."""
    folder = parameters["folder"]
    if not _is_received(config_path, folder):
        return None
    return sum(
        os.lstat(os.path.join(path, name)).st_size
        for path, _, names in os.walk(folder)
        for name in names
    )


def said_priority(config_path: str, parameters: dict[str, Any]) -> int | None:
    """Return the priority that a window of what was received came with."""
    folder = parameters["folder"]
    return received_priority(folder) if _is_received(config_path, folder) else None


def tries(config_path: str, parameters: dict[str, Any]) -> tuple[int, float] | None:
    """Return how often a window of what was received is tried; None for every other folder."""
    if not _is_received(config_path, parameters["folder"]):
        return None
    settings = load_receive_config(config_path)
    return settings.attempts_max, settings.backoff_s


def _is_received(config_path: str, folder: str) -> bool:
    is_named = os.path.basename(folder).startswith(RECEIVED_PREFIX)
    return is_named and os.path.dirname(folder) == os.path.realpath(inbox_root(config_path))


def ingest(context: TaskContext) -> StepResult:
    """Carry the folder in; `partial` when rows were quarantined."""
    given = IngestParameters.model_validate(context.parameters)

    def say(line: str) -> None:
        # Between two steps, and between two write-intents: the borders of this work.
        context.check_cancelled()
        context.log(line)
        context.progress(0, text=line)

    assert given.batch is not None  # Of a request that was prepared.
    signal = Signal(given.folder, given.batch, given.source, given.user)
    try:
        report = run_ingest(context.config_path, signal, say, database=context.database)
    except DrystoneError as error:
        if _is_received(context.config_path, given.folder):
            _check_retried(context.config_path, error)
        raise
    values = asdict(report)
    for line in report.problems:
        context.log(f"quarantined: {line}")
    values["problems"] = report.problems[:PROBLEMS_KEPT_MAX]
    if report.quarantined:
        error = f"rows in quarantine: {report.quarantined:,}; see `drystone quarantine list`"
        return StepResult(values, state="partial", error=error)
    return StepResult(values)


def _check_retried(config_path: str, error: DrystoneError) -> None:
    """Raise PermanentError for an error that another try does not change, as the settings say."""
    if code_of(type(error).__name__) in load_receive_config(config_path).not_retried:
        raise PermanentError(str(error)) from error


def dry_run(_config_path: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Read the folder and tell what would come in."""
    counts, problems = dry_run_folder(parameters["folder"], parameters["source"])
    return {**asdict(counts), "problems": problems[:PROBLEMS_KEPT_MAX]}


WORKFLOW = Workflow(
    name="ua_1",
    description="Store a scraped folder, describe it and connect it with what is known",
    steps=(Step("ingest", ingest, queue="io", attempts_max=5, backoff_s=10.0),),
    parameters=IngestParameters,
    is_bulk=True,
    # A batch has one name for ever, so two requests for it are one, whoever asks.
    key=lambda parameters: parameters["batch"],
    prepare=prepare,
    dry_run=dry_run,
    size_bytes=size_bytes,
    said_priority=said_priority,
    tries=tries,
)
