"""The witness of changes: who asked for what, and what came of it, is told before and after.

Shell, HTTP and pages call operations in a `witnessed` block. Where it is kept is not known here:
`sql` has the audit log, and the front door of the command line hands it to commands, as the object
of their context (`WitnessOf`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from base.errors import DrystoneError
from base.logging.ids import current

if TYPE_CHECKING:
    from pydantic import BaseModel

    from base.operations.operation import Caller, Operation

Way = Literal["api", "page", "shell"]
Outcome = Literal["done", "refused", "failed"]
REQUEST_LENGTH_MAX = 2_000
DETAIL_LENGTH_MAX = 500
REFUSALS = frozenset({400, 401, 403, 404, 422})
"""Statuses of errors after which nothing was changed."""
NEVER_KEPT = frozenset({"password", "token", "secret", "credential", "url"})
"""Fields of requests that are written nowhere; an address of a webhook often is a secret."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A change that somebody asks for; times in UTC."""

    entry_key: str
    begin_time: datetime
    user_id: int | None
    name: str
    role: str
    token_name: str
    way: Way
    address: str
    operation: str
    request: str
    request_reference: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of one."""

    entry_key: str
    end_time: datetime
    outcome: Outcome
    detail: str


class Witness(Protocol):
    """Where entries are kept; neither raises an error, nor waits for what does not answer."""

    def begin(self, entry: Entry) -> None:
        """Keep that something is asked for, before it is begun."""
        ...

    def end(self, ended: Ended) -> None:
        """Keep what came of it."""
        ...


WitnessOf = Callable[[str | None, Any, ExitStack], Witness]
"""Gets the option `--config` of a command, its place of work, and what is closed at its end."""


@contextmanager
def witnessed(
    witness: Witness | None,
    one: Operation[Any, Any, Any],
    caller: Caller,
    request: BaseModel | None,
    way: Way,
) -> Generator[None]:
    """Tell the witness of the change that the block does; a question has none."""
    if witness is None or not one.changes:
        yield
        return
    values = {} if request is None else request.model_dump(exclude_unset=True)
    with told(witness, one.name, caller, values, way):
        yield


@contextmanager
def told(
    witness: Witness, operation: str, caller: Caller, values: Mapping[str, Any], way: Way
) -> Generator[None]:
    """Tell the witness of what the block does: before it, and what came of it."""
    entry = Entry(
        entry_key=uuid.uuid4().hex,
        begin_time=datetime.now(UTC),
        user_id=caller.user_id,
        name=caller.name,
        role=caller.role,
        token_name=caller.token,
        way=way,
        address=caller.address,
        operation=operation,
        request=_shown(values),
        request_reference=current().get("request_id", ""),
    )
    witness.begin(entry)
    try:
        yield
    except BaseException as error:
        witness.end(Ended(entry.entry_key, datetime.now(UTC), *_outcome_of(error)))
        raise
    witness.end(Ended(entry.entry_key, datetime.now(UTC), "done", ""))


def _outcome_of(error: BaseException) -> tuple[Outcome, str]:
    from base.operations.problem import status_of

    if not isinstance(error, DrystoneError):
        return "failed", type(error).__name__  # Its message may carry anything.
    detail = _clean(f"{type(error).__name__}: {error}")
    return ("refused" if status_of(error) in REFUSALS else "failed"), detail


def _shown(values: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in values.items() if name not in NEVER_KEPT}
    try:
        text = json.dumps(kept, default=str)  # In ASCII: a character is a byte.
    except (RecursionError, ValueError):
        return '"a document with too many levels"'
    return text if len(text) <= REQUEST_LENGTH_MAX else text[:REQUEST_LENGTH_MAX] + "..."


def _clean(text: str) -> str:
    """Return text that PostgreSQL takes: no NUL, no lone surrogate."""
    return text[:DETAIL_LENGTH_MAX].replace("\0", "").encode("utf-8", "replace").decode()
