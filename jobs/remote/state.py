"""Tasks over HTTP: it owns a TaskState for machines without the database, and their other paths.

It passes the same conformance suite as the way over the database (see jobs/runs/task_state.py). The
stage area may be mounted elsewhere on this machine: paths in what is to be done are translated to
its own folder, and those in what came out back again.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from jobs.core.errors import JobsError
from jobs.remote.http import RefusedError, RemoteApi
from sql import Claim, Outcome, Progress, StaleAttemptError

LOG_SIZE_BYTES_MAX = 512 * 1024
"""Of one request; a longer text goes in parts."""

Model = TypeVar("Model", bound=BaseModel)


class PathPrefix:
    """A folder of the server and what it is called here; the same when nothing is to be done."""

    def __init__(self, there: str, here: str) -> None:
        self.there = there.rstrip("/")
        self.here = here.rstrip("/")

    def to_here(self, model: Model) -> Model:
        """Return a document with all paths below the server's folder as they are called here."""
        return _translated(model, self.there, self.here)

    def to_there(self, model: Model) -> Model:
        """Return a document with all paths as the server calls them."""
        return _translated(model, self.here, self.there)


class RemoteTaskState:
    """A TaskState over the public port."""

    def __init__(self, api: RemoteApi, prefix: PathPrefix | None = None) -> None:
        self._api = api
        self._prefix = prefix

    def claim(self, task_id: int, worker: str) -> Claim | None:
        """Take a queued task; see TaskState."""
        document = self._api.ask("POST", f"/tasks/{task_id}/claim?ids=true", {"worker": worker})
        if document is None:
            return None
        try:
            claim = Claim.model_validate(document)
        except ValidationError as error:
            raise JobsError("the server runs another version of Drystone; update both") from error
        return self._prefix.to_here(claim) if self._prefix else claim

    def beat(self, task_id: int, token: int, progress: Progress | None = None) -> bool:
        """Say that the task is alive; see TaskState."""
        given = {"token": token, "progress": progress.model_dump() if progress else None}
        return bool(self._tell(task_id, token, "beat", given)["cancelled"])

    def finish(self, task_id: int, token: int, outcome: Outcome) -> None:
        """End the attempt; see TaskState."""
        told = self._prefix.to_there(outcome) if self._prefix else outcome
        given = {"token": token, "outcome": told.model_dump(mode="json")}
        self._tell(task_id, token, "finish", given)

    def append_log(self, task_id: int, token: int, text: str, *, of_program: bool = False) -> None:
        """Add text to a log of the attempt; see TaskState."""
        # JSON in ASCII has at most 12 bytes for a character.
        step = LOG_SIZE_BYTES_MAX // 12
        for start in range(0, len(text) or 1, step):
            piece = text[start : start + step]
            given = {"token": token, "text": piece, "of_program": of_program}
            self._tell(task_id, token, "log", given)

    def _tell(self, task_id: int, token: int, what: str, given: dict[str, Any]) -> Any:
        try:
            return self._api.ask("POST", f"/tasks/{task_id}/{what}", given)
        except RefusedError as error:
            if error.name == "StaleAttemptError":
                raise StaleAttemptError(task_id, token) from error
            raise


def _translated(model: Model, old: str, new: str) -> Model:
    if old == new:
        return model
    # Also within a text, as in `--output=/stage/1`; not within another path or name.
    pattern = re.compile(rf"(?<![\w./-]){re.escape(old)}(?=/|$|[^\w.-])")

    def walk(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda _: new, value)
        if isinstance(value, dict):
            return {key: walk(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [walk(one) for one in value]
        return value

    return model.model_validate(walk(model.model_dump(mode="json")))
