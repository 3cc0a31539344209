"""Jobs of the engine on a terminal: progress, results and the lines of reports."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from base.output import say
from base.text import count_text, duration_text, safe_text, size_text

if TYPE_CHECKING:
    from fsd.documents.models import JobStatus

PROGRESS_LINE_INTERVAL_S = 10.0
"""Between two progress lines where stderr is a file and cannot be overwritten."""

_CLEAR_LINE = "\r\x1b[K"


def problem_text(line: dict[str, Any]) -> str:
    """Return one line of a job's report as a message: what it is about, and what is wrong."""
    if "path" in line:
        subject = [str(line["path"])]
    else:
        subject = [f"{name} {line[name]}" for name in ("disk", "shard", "key") if line.get(name)]
    parts = [line.get("status"), ", ".join(subject), line.get("reason")]
    return safe_text(": ".join(str(part) for part in parts if part))


def counts_text(result: dict[str, Any]) -> str:
    """Return the numbers of a job's result that are not zero: `12 written (3.4 MB), 1 skipped`."""
    parts: list[str] = []
    for name, value in result.items():
        if isinstance(value, bool) or not isinstance(value, int) or not value:
            continue
        what, _, unit = name.rpartition("_")
        if unit != "bytes":
            size = result.get(name + "_bytes")
            more = f" ({size_text(size)})" if size else ""
            words = name.replace("_", " ")
            parts.append(f"{value:,} {_singular(words) if value == 1 else words}{more}")
        elif what not in result:
            parts.append(f"{size_text(value)} {what.replace('_', ' ')}")
    return ", ".join(parts)


def _singular(words: str) -> str:
    for plural, singular in (("sses", "ss"), ("ches", "ch"), ("ies", "y")):
        if words.endswith(plural):
            return words.removesuffix(plural) + singular
    return words if words.endswith("ss") else words.removesuffix("s")


class Progress:
    """One line on stderr that follows a job: overwritten on a terminal, repeated in a file."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._due = time.monotonic() + PROGRESS_LINE_INTERVAL_S
        self._shown = False

    def __call__(self, job: JobStatus) -> None:
        """Show where the job is."""
        if job.state != "running":
            return
        line = safe_text(progress_text(job))
        if self._terminal:
            sys.stderr.write(_CLEAR_LINE + line[: _terminal_columns() - 1])
            sys.stderr.flush()
            self._shown = True
        elif time.monotonic() >= self._due:
            say(line)
            self._due = time.monotonic() + PROGRESS_LINE_INTERVAL_S

    def close(self) -> None:
        """Clear the line, so that what is said next starts at its beginning."""
        if self._shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
            self._shown = False


_COUNTED = {
    **dict.fromkeys(("drain", "replace", "rebuild", "rebalance", "compact", "fsck"), ("shard",)),
    **dict.fromkeys(("verify", "scrub"), ("copy", "copies")),
    **dict.fromkeys(("reindex", "purge"), ("step",)),
    "calibrate": ("disk",),
}
"""What a job of this kind counts, where that is no files."""


def progress_text(job: JobStatus) -> str:
    """Return a job's progress in one line: what is known of files, bytes, rate and time left."""
    parts = [job.kind]
    if job.total_files or job.done_files:
        total = job.total_files or job.done_files
        done = f"{job.done_files:,} of " * bool(job.total_files)
        parts.append(done + count_text(total, *_COUNTED.get(job.kind, ("file",))))
    if job.total_bytes or job.done_bytes:
        parts.append(size_text(job.done_bytes) + _of(job.total_bytes, size_text(job.total_bytes)))
    if job.rate_bytes_per_s:
        parts.append(f"{size_text(job.rate_bytes_per_s)}/s")
    if job.eta_s is not None and job.eta_s >= 0.5:
        parts.append(f"{duration_text(job.eta_s)} left")
    if job.phase:
        parts.append(job.phase)
    return "  ".join(parts)


def _of(total: int, text: str) -> str:
    return f" of {text}" if total else ""


def _terminal_columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
