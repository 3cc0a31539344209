"""A client of Drystone's HTTP API: every operation by its name, as the server describes it.

    with Drystone("http://server:8420", token) as drystone:
        drystone.call("node.tag", name="cat", view="Cats")
        job = drystone.wait(drystone.call("storage.verify", batch="march"))
        for line in drystone.stream("job.report", job_id=job["job_id"]):
            ...
        for event in drystone.events(type=["batch.described"]):
            ...

Names, fields and answers are those of the server's `docs/api.md`, or of `operations` here. A change
carries a key, so that it is done once though its answer was lost and it was asked for again.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx

__all__ = ["Drystone", "Operation", "ProblemError"]

DESCRIPTION = "/api/v1/openapi.json"
KEY = "idempotency-key"
METHODS = ("get", "post", "put", "patch", "delete")
TRIED_AGAIN = (429, 502, 503, 504)
EVENTS = "text/event-stream"
SILENCE_S = 30.0
"""A server that tells events says something oftener than that."""
PAUSE_S = 0.5
PAUSE_S_MAX = 30.0


class ProblemError(Exception):
    """The server refused, or nobody answered (status 0); the message says what to do."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        """The kind of refusal, for programs: `not_found`, `wrong_request`, `unreachable` ..."""
        self.problems: list[str] = list(document.get("problems") or ())
        """A line for each mistake in what was asked."""
        self.request_id = str(document.get("request_id") or "")
        detail = str(document.get("detail") or f"the server answered {status}")
        super().__init__("; ".join([detail, *self.problems]))


class Operation(NamedTuple):
    """Where and how an operation is asked for."""

    name: str
    method: str
    path: str
    in_path: tuple[str, ...]
    in_query: tuple[str, ...]
    has_body: bool
    takes_key: bool
    help: str


class Drystone:
    """A server of Drystone, and the token that is shown to it. Close it, or use `with`."""

    def __init__(
        self,
        address: str,
        token: str,
        *,
        timeout_s: float = 60.0,
        tries: int = 5,
        verify: bool | str = True,
    ) -> None:
        """`tries` is how often one request is sent at most; `verify` is httpx's."""
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=address, headers=headers, timeout=timeout_s, verify=verify
        )
        self._tries = max(1, tries)
        self._operations: dict[str, Operation] = {}

    @property
    def operations(self) -> Mapping[str, Operation]:
        """All operations by name, as the server describes them; read once."""
        if not self._operations:
            document = self._send("GET", DESCRIPTION, is_repeatable=True).json()
            self._operations = {one.name: one for one in _operations_of(document)}
        return self._operations

    def call(self, name: str, /, *, request_key: str = "", **fields: Any) -> Any:
        """Ask for an operation and return its answer, a document.

        `request_key` names a change whose answer may have been lost before this program was begun
        again; without one it gets a key of its own. Raises ProblemError.
        """
        one = self._named(name)
        path, query, body = _placed(one, fields)
        headers = {KEY: request_key or str(uuid.uuid4())} if one.takes_key else {}
        is_repeatable = one.method == "GET" or one.takes_key
        answer = self._send(
            one.method, path, query=query, body=body, headers=headers, is_repeatable=is_repeatable
        )
        return answer.json() if answer.content else None

    def stream(self, name: str, /, **fields: Any) -> Iterator[Any]:
        """Yield the documents of an operation that answers with many, as they come.

        Raises ProblemError, also for one that comes after some documents.
        """
        one = self._named(name)
        path, query, body = _placed(one, fields)
        timeout = httpx.Timeout(self._http.timeout.connect, read=None)
        with self._http.stream(
            one.method, path, params=query, json=body, timeout=timeout
        ) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _problem_of(answer)
            for line in answer.iter_lines():
                item = json.loads(line)
                if isinstance(item, dict) and "problem" in item:
                    raise ProblemError(item["problem"].get("status", 500), item["problem"])
                yield item

    def events(self, after: int | None = None, **fields: Any) -> Iterator[dict[str, Any]]:
        """Yield what happens, without an end; `type` and `subject` choose, as of `event.list`.

        `after` is the `position` of the last event that was worked on; without it they begin now. A
        lost connection is made again, behind the last event. Raises ProblemError: `events_gone`
        where the feed keeps what comes next no longer.
        """
        one = self._named("event.list")
        path, query, _ = _placed(one, fields)
        timeout = httpx.Timeout(self._http.timeout.connect, read=SILENCE_S)
        last, number = "" if after is None else str(after), 0
        while True:
            headers = {"accept": EVENTS} | ({"last-event-id": last} if last else {})
            try:
                with self._http.stream(
                    one.method, path, params=query, headers=headers, timeout=timeout
                ) as answer:
                    if answer.status_code >= 400:
                        answer.read()
                        raise _problem_of(answer)
                    for found in _blocks_of(answer.iter_lines()):
                        if found.get("event") == "problem":
                            problem = json.loads(found["data"])
                            raise ProblemError(problem.get("status", 500), problem)
                        if "data" in found:
                            yield json.loads(found["data"])
                        last, number = found.get("id", last), 0
            except httpx.TransportError as error:
                if number + 1 >= self._tries:
                    detail = f"{self._http.base_url} does not answer: {error}"
                    raise ProblemError(0, {"code": "unreachable", "detail": detail}) from error
            except ProblemError as problem:
                if problem.status not in TRIED_AGAIN or number + 1 >= self._tries:
                    raise
            number += 1
            time.sleep(min(PAUSE_S_MAX, PAUSE_S * 2**number) * random.uniform(0.5, 1.0))

    def wait(self, job: Mapping[str, Any] | str, *, every_s: float = 1.0) -> dict[str, Any]:
        """Wait until a job of the store has ended, and return how."""
        job_id = job if isinstance(job, str) else job["job_id"]
        while True:
            found = self.call("job.show", job_id=job_id)
            if found["state"] not in ("queued", "running"):
                return found
            time.sleep(every_s)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def _named(self, name: str) -> Operation:
        found = self.operations.get(name)
        if found is None:
            group = name.partition(".")[0]
            near = sorted(one for one in self.operations if one.startswith(f"{group}."))
            known = ", ".join(near or sorted({one.partition(".")[0] for one in self.operations}))
            raise ProblemError(
                0, {"code": "unknown", "detail": f"no operation {name!r}; has: {known}"}
            )
        return found

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        is_repeatable: bool,
    ) -> httpx.Response:
        tries = self._tries if is_repeatable else 1
        for number in range(1, tries + 1):
            pause_s = min(PAUSE_S_MAX, PAUSE_S * 2**number) * random.uniform(0.5, 1.0)
            try:
                answer = self._http.request(method, path, params=query, json=body, headers=headers)
            except httpx.TransportError as error:
                if number == tries:
                    detail = f"{self._http.base_url} does not answer: {error}"
                    raise ProblemError(0, {"code": "unreachable", "detail": detail}) from error
            else:
                if answer.status_code < 400:
                    return answer
                if answer.status_code not in TRIED_AGAIN or number == tries:
                    raise _problem_of(answer)
                pause_s = _asked_pause_s(answer) or pause_s
            time.sleep(pause_s)
        raise AssertionError("unreachable")


def _blocks_of(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield server-sent events; each of their fields is one line here."""
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            yield found
            found = {}


def _operations_of(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method in METHODS:
            entry = methods.get(method)
            if entry is None or "operationId" not in entry:
                continue
            found = entry.get("parameters", ())
            names = {
                place: tuple(one["name"] for one in found if one["in"] == place)
                for place in ("path", "query", "header")
            }
            yield Operation(
                entry["operationId"], method.upper(), path, names["path"], names["query"],
                "requestBody" in entry, KEY in {name.lower() for name in names["header"]},
                entry.get("description", ""),
            )  # fmt: skip


def _placed(one: Operation, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any], Any]:
    """Return the path, the query and the body that carry the fields of a request."""
    missing = [name for name in one.in_path if name not in fields]
    if missing:
        detail = f"{one.name} needs {', '.join(missing)}"
        raise ProblemError(0, {"code": "wrong_request", "detail": detail})
    path = one.path
    for name in one.in_path:
        path = path.replace(f"{{{name}}}", quote(str(fields[name]), safe=""))
    rest = {name: value for name, value in fields.items() if name not in one.in_path}
    if not one.has_body:
        # What the operation does not know goes along: the server says so.
        return path, {name: value for name, value in rest.items() if value is not None}, None
    query = {name: rest.pop(name) for name in one.in_query if name in rest}
    return path, query, rest


def _problem_of(answer: httpx.Response) -> ProblemError:
    try:
        document = answer.json()
    except ValueError:
        document = None
    found = document if isinstance(document, dict) else {"detail": answer.text[:500]}
    return ProblemError(answer.status_code, found)


def _asked_pause_s(answer: httpx.Response) -> float:
    """Return how long the server asks to wait; 0 when it does not say."""
    asked = answer.headers.get("retry-after", "")
    return min(PAUSE_S_MAX, float(asked)) if asked.isdecimal() else 0.0
