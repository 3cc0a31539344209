"""Following a run: it owns waiting for its end, and reading the logs of its attempts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jobs.runs.local_state import program_log
from sql import Attempt, Run

if TYPE_CHECKING:
    from sql import Database

POLL_INTERVAL_S = 0.5
READ_SIZE_BYTES = 1 << 20
ATTEMPTS_MAX = 500


def wait_for_run(
    database: Database, run_id: int, say: Callable[[str], None] = lambda _: None
) -> Run:
    """Wait until a run ends, or waits for somebody; tells how far it is."""
    told = ""
    while True:
        run = database.runs.run(run_id)
        if run.state not in ("queued", "running"):
            return run
        line = _line(database, run_id)
        if line and line != told:
            say(line)
            told = line
        time.sleep(POLL_INTERVAL_S)


def follow_logs(
    database: Database, log_dir: str, run_id: int, task_id: int | None, *, follow: bool
) -> Iterator[str]:
    """Yield the logs of a run's attempts in pieces, each followed by the words of its program.

    With `follow` until the run ends.
    """
    copied = _Copied(log_dir, with_heading=task_id is None)
    while True:
        # Asked before the logs are read, so that nothing of the last attempt is missed.
        detail = database.runs.show(run_id, ATTEMPTS_MAX)
        for attempt in detail.attempts:
            if task_id is None or attempt.task_id == task_id:
                yield from copied.attempt(attempt)
        if not follow or detail.run.state not in ("queued", "running", "waiting"):
            return
        time.sleep(POLL_INTERVAL_S)


def _line(database: Database, run_id: int) -> str:
    running = [task for task in database.runs.show(run_id, 50).tasks if task.state == "running"]
    return "; ".join(
        f"{task.step} {task.part or ''} {task.progress.text}".strip()
        for task in running
        if task.progress is not None and task.progress.text
    )


class _Copied:
    """What of which log was told; a heading says where another one goes on."""

    def __init__(self, log_dir: str, *, with_heading: bool) -> None:
        self._log_dir = log_dir
        self._with_heading = with_heading
        self._offsets: dict[str, int] = {}
        self._latest = ""

    def attempt(self, attempt: Attempt) -> Iterator[str]:
        """Yield what is new in the logs of an attempt."""
        if attempt.log_path is None:
            return
        name = f"task {attempt.task_id}, attempt {attempt.attempt}"
        yield from self._copy(attempt.log_path, name, with_heading=self._with_heading)
        yield from self._copy(
            program_log(attempt.log_path), f"{name}, its program", with_heading=True
        )

    def _copy(self, path: str, name: str, *, with_heading: bool) -> Iterator[str]:
        """Yield what is new in a log. Control characters of programs are made harmless."""
        try:
            file = open(os.path.join(self._log_dir, path), "rb")  # noqa: SIM115
        except OSError:
            return  # On another machine, or thrown away.
        with file:
            file.seek(self._offsets.get(path, 0))
            while chunk := file.read(READ_SIZE_BYTES):
                if path != self._latest and (with_heading or self._latest):
                    yield f"==> {name} <==\n"
                self._latest = path
                self._offsets[path] = file.tell()
                yield _printable(chunk)


def _printable(chunk: bytes) -> str:
    text = chunk.decode("utf-8", "backslashreplace")
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        letter
        if letter in "\n\t" or letter.isprintable()
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
