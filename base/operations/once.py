"""Operations that are asked for with a key are done once, and answered the same again."""

from __future__ import annotations

import hashlib
import json
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel

from base.errors import DrystoneError, UsageError
from base.operations.operation import Caller, Operation


class Requests(Protocol):
    """Where it is kept what was asked for with which key; `sql` has it."""

    def begin(self, account: str, key: str, operation: str, digest: bytes) -> tuple[bool, Any]:
        """Begin a request; or return True and the answer that it had."""
        ...

    def marking(self, account: str, key: str) -> AbstractContextManager[None]:
        """Return a block in which every change marks the request as done."""
        ...

    def finish(self, account: str, key: str, answer: Any) -> None:
        """Keep the answer."""
        ...

    def abandon(self, account: str, key: str, *, is_undone: bool = True) -> None:
        """Forget a request that changed nothing; whoever did it said so where `is_undone`."""
        ...


class Answered(NamedTuple):
    """An answer as a JSON document, and whether it is that of an earlier request."""

    document: Any
    is_repeated: bool


def ask_once(
    requests: Requests,
    key: str,
    one: Operation[Any, Any, Any],
    place: Any,
    caller: Caller,
    asked: BaseModel,
) -> Answered:
    """Do an operation unless that was done under this key; errors are its own and those of `begin`.

    A request that fails before it changed anything may be asked for again with its key.
    """
    digest = _digest(asked)
    is_known, answer = requests.begin(caller.account, key, one.name, digest)
    if is_known:
        return Answered(answer, True)
    try:
        with requests.marking(caller.account, key):
            answer = one(place, caller, asked)
        document = one.document_of(answer)
    except Exception as error:
        # What is no error of ours may have come after the change.
        is_undone = isinstance(error, DrystoneError) and not error.is_lost
        requests.abandon(caller.account, key, is_undone=is_undone)
        raise
    if one.is_secret:
        # It stays marked as done; who asks again is told that the answer is gone.
        requests.abandon(caller.account, key)
    else:
        requests.finish(caller.account, key, document)
    return Answered(document, False)


def _digest(asked: BaseModel) -> bytes:
    try:
        text = json.dumps(asked.model_dump(), sort_keys=True, default=str)
    except (RecursionError, ValueError) as error:
        raise UsageError("the request has too many levels") from error
    return hashlib.sha256(text.encode()).digest()
