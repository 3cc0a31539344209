"""How datasets look on a terminal: it owns the lines and tables of reports, and asks nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from base.output import say, write_line, write_table
from base.text import duration_text, size_text
from datasets.choice.report import SplitsReport, report_lines
from datasets.versions.exports import ExportResult, room_text
from datasets.versions.previews import Preview

CLASSES_SHOWN_MAX = 30
PATHS_SHOWN_MAX = 10
PROGRESS_INTERVAL_S = 5.0


class Progress:
    """Says the phase when it changes, and on a terminal how far it is now and then."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._phase = ""
        self._due = 0.0

    def __call__(self, phase: str, rows: int) -> None:
        """Take what a build or an export tells."""
        now = time.monotonic()
        if phase != self._phase or (sys.stderr.isatty() and now >= self._due):
            self._say(f"{phase}, {rows:,} files" if rows else phase)
            self._phase, self._due = phase, now + PROGRESS_INTERVAL_S


def write_report(report: SplitsReport) -> None:
    """Write the splits, the classes, the leakage and what was excluded as tables."""
    for headings, rows in report_lines(report):
        shown = rows[:CLASSES_SHOWN_MAX]
        write_table(headings, shown)
        if len(rows) > len(shown):
            write_line(f"... and {len(rows) - len(shown):,} more (--json has all)")
        write_line("")
    if report.former is not None:
        former = report.former
        write_line(
            f"splits of version {former.version} kept for {former.groups_kept:,} groups; "
            f"{former.groups_merged:,} came together out of several, which moved "
            f"{former.files_moved:,} files"
        )


def write_preview(preview: Preview) -> None:
    """Write what a dataset would be."""
    report, room = preview.report, preview.room
    write_line(
        f"{preview.name}: {room_text(report.files, report.size_bytes)} in {report.groups:,} "
        f"groups, the largest with {report.largest_group_files:,} files"
    )
    write_line("")
    write_report(report)
    for path in preview.paths[:PATHS_SHOWN_MAX]:
        write_line(f"  {path}")
    measured = "measured" if preview.eta_measured else "guessed"
    quota = f", quota {size_text(room.quota_bytes)}" if room.quota_bytes else ""
    verdict = "fits" if room.fits else "DOES NOT FIT"
    write_line(
        f"a copy needs {size_text(room.needed_bytes)} of the exports area{quota}: {verdict}; about "
        f"{duration_text(preview.eta_s)} ({measured}). A view needs none of it."
    )


def say_exported(result: ExportResult) -> None:
    """Say what was exported and write where it is."""
    there = "was there already" if result.already_sealed else "is sealed"
    say(f"{result.export_id}: {room_text(result.files, result.size_bytes)}, {there}")
    write_line(result.target_root)
