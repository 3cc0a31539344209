"""How figures are written for a person."""

from __future__ import annotations

import pytest

from fsd.cli_output import duration_text, progress_text, size_text
from fsd.models import JobStatus


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (47 * 3600 + 3599, "47 h 59 min"),
        (48 * 3600, "2 days 0 h"),
        (30 * 86400 + 7200, "30 days 2 h"),
    ],
)
def test_durations(seconds: float, text: str):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (999.6, "1.0 kB"), (2e12, "2.0 TB")]
)
def test_sizes(size: float, text: str):
    assert size_text(size) == text


def test_a_job_is_followed_in_one_line():
    job = JobStatus(
        job_id="1", kind="drain", state="running", started="", done_files=2, total_files=10,
        done_bytes=10**9, total_bytes=5 * 10**9, rate_bytes_per_s=1e6, eta_s=4000.0, phase="moving",
    )  # fmt: skip
    assert progress_text(job) == (
        "drain  2 of 10 files  1.0 GB of 5.0 GB  1.0 MB/s  1 h 6 min left  moving"
    )
