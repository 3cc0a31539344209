"""How figures are written for a person."""

from __future__ import annotations

import pytest

from base.text import count_text, duration_text, size_text
from fsd.documents.models import JobStatus
from fsd.operations.progress import counts_text, progress_text


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
        "drain  2 of 10 shards  1.0 GB of 5.0 GB  1.0 MB/s  1 h 6 min left  moving"
    )


@pytest.mark.parametrize(
    ("kind", "done", "total", "text"),
    [
        ("put", 1, 1, "1 of 1 file"),
        ("put", 3, 0, "3 files"),
        ("verify", 0, 1, "0 of 1 copy"),
        ("scrub", 2, 1200, "2 of 1,200 copies"),
        ("rebuild", 0, 1, "0 of 1 shard"),
    ],
)
def test_a_job_counts_what_it_works_on(kind: str, done: int, total: int, text: str):
    job = JobStatus(
        job_id="1", kind=kind, state="running", started="", done_files=done, total_files=total
    )
    assert progress_text(job) == f"{kind}  {text}"


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (1, ("object",), "1 object"),
        (0, ("object",), "0 objects"),
        (12345, ("shard",), "12,345 shards"),
        (1, ("copy", "copies"), "1 copy"),
        (2, ("batch", "batches"), "2 batches"),
    ],
)
def test_a_count_has_its_noun(count: int, words: tuple[str, ...], text: str):
    assert count_text(count, *words) == text


def test_the_numbers_of_a_result_fit_their_words():
    assert counts_text({"replicas": 1, "losses": 1, "batches": 1}) == "1 replica, 1 loss, 1 batch"
    assert counts_text({"unreadable_shards": 1, "entries": 1}) == "1 unreadable shard, 1 entry"
    assert (
        counts_text({"replicas": 2, "losses": 2, "missing": 1}) == "2 replicas, 2 losses, 1 missing"
    )
