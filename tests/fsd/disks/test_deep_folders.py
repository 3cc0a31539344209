"""Paths of more folders than Python nests calls: they are copied, listed and removed as others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_checks import finish, keys_of, put, settle, write_manifest
from store_harness import write_files

from fsd.disks.seal import clear, discard

DEPTH = sys.getrecursionlimit() + 200
FOLDERS = "a/" * DEPTH


@pytest.fixture(autouse=True)
def no_depth_is_left(short_tmp: str) -> Iterator[None]:
    """What removes a test's folders afterwards nests its calls."""
    yield
    subprocess.run(["rm", "-rf", "--", *Path(short_tmp).iterdir()], check=True)


def make(root: Path) -> None:
    """Make the folders and a file in the last, one by one."""
    here = os.fspath(root)
    for name in ("", *FOLDERS.split("/")[:-1]):
        here = os.path.join(here, name)
        os.mkdir(here)
    write_files(here, {"file": b"deep"})


def test_a_deep_folder_is_cleared_and_discarded(short_tmp: str):
    temporary = Path(short_tmp) / ".tmp" / "copy"
    temporary.parent.mkdir()
    make(temporary)
    clear(temporary)
    assert list(temporary.iterdir()) == []
    make(temporary / "again")
    discard(temporary)
    assert list(temporary.parent.iterdir()) == []


def test_a_deep_path_is_copied_and_shown(store, short_tmp: str):
    under_test = store()
    files = {"1": b"one", "2": b"two"}
    put(under_test, write_files(os.path.join(short_tmp, "source"), files), "first")
    settle(under_test)
    keys = {FOLDERS + name: key for name, key in keys_of(files).items()}
    manifest = write_manifest(os.path.join(short_tmp, "deep.jsonl"), keys)
    stage = under_test.client.stage_to_3c(manifest, "deep", "flat")
    finish(under_test, stage.job_id)
    for name, data in files.items():
        assert (Path(stage.target_root) / FOLDERS / name).read_bytes() == data
    view = under_test.client.export_to_3d(manifest, "deep", "flat", mode="view")
    finish(under_test, view.job_id)
    under_test.client.release_stage("deep", "flat")
    assert not os.path.exists(stage.target_root)
