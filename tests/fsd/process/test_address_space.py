"""Under a limit of the address space nothing starts, and one line says so; nothing is lost."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest
from command import PROGRAM, ROOT
from store_checks import assert_clean, assert_readable, put
from store_harness import Store, write_files

LIMIT_BYTES = 50_000_000_000
BETWEEN_BYTES = 400_000_000_000
"""One index fits in, and a second one does not."""


def limited(
    *words: str, limit_bytes: int = LIMIT_BYTES, expect: int | None = 2
) -> subprocess.CompletedProcess[str]:
    """Run a child with a limit of its address space."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))

    ended = subprocess.run(
        [sys.executable, *words],
        capture_output=True, text=True, timeout=100, cwd=ROOT, preexec_fn=limit,
    )  # fmt: skip
    assert expect is None or ended.returncode == expect, ended
    return ended


@pytest.fixture
def made(store, tmp_path) -> tuple[Store, dict[str, bytes]]:
    """A store that is down, and what is in it."""
    made, files = store(2), {f"f{n}": os.urandom(3000) for n in range(40)}
    put(made, write_files(str(tmp_path / "source"), files), "b")
    made.stop()
    return made, files


def index_of(store: Store) -> list[str]:
    return sorted(os.listdir(store.config.index_root))


@pytest.mark.fault
def test_a_start_says_it_in_one_line_and_throws_no_index_away(made):
    store, files = made
    before = index_of(store)
    config = ("--config", store.config_path)
    for words in (
        (PROGRAM, "up", "--no-mount", *config),
        ("-m", "fsd.engine_main", *config),
    ):
        (line,) = limited(*words).stderr.splitlines()
        assert line.startswith("drystone: the address space is limited to 50")
        assert "`ulimit -v unlimited`" in line and "LimitAS=infinity" in line
    mounting = limited(PROGRAM, "mount", *config, expect=1)
    assert "the address space is limited to 50" in mounting.stderr
    assert index_of(store) == before
    store.start()
    assert_readable(store, files)
    assert_clean(store)
    assert index_of(store) == before


@pytest.mark.fault
def test_the_doctor_says_what_would_not_start():
    found = json.loads(limited(PROGRAM, "doctor", "--json", expect=1).stdout)
    states = {one["what"]: one for one in found}
    assert states["engine"]["state"] == "fails"
    assert "the address space is limited to 50" in states["engine"]["text"]
    assert states["mount"]["state"] == "degraded"
    listed = limited(PROGRAM, "doctor", limit_bytes=BETWEEN_BYTES, expect=3).stdout
    words = {line.split()[0]: line for line in listed.splitlines() if line.strip()}
    assert " ok " in words["engine"] and " degraded " in words["reindex"]
    free = json.loads(limited(PROGRAM, "doctor", "--json", limit_bytes=-1, expect=None).stdout)
    assert {one["what"]: one["state"] for one in free}["engine"] == "ok"


@pytest.mark.fault
def test_an_index_is_not_taken_for_damaged_where_it_cannot_be_mapped(made):
    store, _ = made
    code = (
        "import sys; from fsd.store.index import Index; from fsd.store.generation import"
        " current_generation as now; Index(sys.argv[1], now(sys.argv[1]))"
    )
    ended = limited("-c", code, store.config.index_root, expect=1)
    assert "base.errors.UsageError: the address space is limited to 50" in ended.stderr
    assert "damaged" not in ended.stderr
