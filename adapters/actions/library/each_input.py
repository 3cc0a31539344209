"""One input after the other: it owns what happens when one of them is hostile.

The workers beside this file share it. It knows folders only, and is used outside of everything else
(`python -I worker.py`), so it imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import sys
from collections.abc import Callable, Generator
from typing import IO, Any

PARTIAL = 3
"""Exit code: outputs are there, but not for every input; errors.jsonl says why."""
REASON_LENGTH_MAX = 500


def each_input(folder: str, output: str, work: Callable[[str], None], *, seconds: int = 60) -> int:
    """Call work(path) for every file of the folder, sorted by name; returns the exit code.

    The work is done in a forked process. An input whose work raises is noted in
    `output/errors.jsonl`; so is one that crashes the process or takes longer than `seconds`, and
    another process goes on behind it. So no input fails another.
    """
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    errors_path = os.path.join(output, "errors.jsonl")
    at = 0
    with mmap.mmap(-1, 8) as place:  # Shared: where the child is.
        while at < len(names):
            place[:] = at.to_bytes(8, "little")
            pid = os.fork()
            if pid == 0:
                _go_through(folder, names, at, work, seconds, errors_path, place)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if code == 0:
                break
            at = int.from_bytes(place[:], "little")
            _note(errors_path, names[at], _death(code, seconds))
            at += 1
    return PARTIAL if os.path.exists(errors_path) else 0


def _go_through(
    folder: str,
    names: list[str],
    first: int,
    work: Callable[[str], None],
    seconds: int,
    errors_path: str,
    place: mmap.mmap,
) -> None:
    """Do the work from `first` on, and end this process."""
    for number, name in enumerate(names[first:], first):
        place[:] = number.to_bytes(8, "little")
        signal.alarm(seconds)  # Its default is death, which also ends what hangs in a library.
        try:
            work(os.path.join(folder, name))
        except Exception as error:
            _note(errors_path, name, f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    os._exit(0)


def _death(code: int, seconds: int) -> str:
    if code == -signal.SIGALRM:
        return f"took longer than {seconds} s"
    return f"crashed: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


def _note(errors_path: str, name: str, reason: str) -> None:
    append(errors_path, {"file": name, "reason": reason[:REASON_LENGTH_MAX]})
    print(f"{name!a}: {reason[:REASON_LENGTH_MAX]!a}", file=sys.stderr, flush=True)


def append(path: str, *records: dict[str, Any]) -> None:
    """Add records to a file of JSON lines, all with one write."""
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    with open(path, "ab", buffering=0) as file:
        # Names that are not UTF-8 have surrogates, which JSON can write only as escapes.
        file.write(text.encode("utf-8", "backslashreplace"))


@contextlib.contextmanager
def new_file(path: str) -> Generator[IO[bytes]]:
    """Open a file that appears only when it is complete."""
    part = f"{path}.part"
    try:
        with open(part, "wb") as file:
            yield file
        os.rename(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)


def stem_of(path: str) -> str:
    """Return a file's name without folders and extension."""
    return os.path.splitext(os.path.basename(path))[0]
