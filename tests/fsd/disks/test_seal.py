"""The commit point: kill -9 and power cuts at every barrier leave all of it or nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from base.errors import UsageError
from fsd.disks.seal import (
    BARRIERS,
    begin,
    confirm_sealed,
    discard,
    format_job,
    is_same_job,
    open_filesystem,
    read_sealed,
    seal,
)
from fsd.format.errors import SealedMismatchError

JOB: dict[str, Any] = {
    "manifest_sha256": "ab" * 32,
    "layout_id": "flat",
    "mode": "copy",
    "dedup_mode": "by_node",
    "job_id": "7",
}
CONTENT = {"a": b"1" * 5000, "deep/er/b": b"2" * 300_000, "empty": b""}
needs_root = pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("mkfs.ext4") is None
    or not Path("/dev/loop-control").exists(),
    reason="needs root, mkfs.ext4 and loop devices",
)


@pytest.fixture(name="area")
def area_folder(tmp_path: Path) -> Path:
    area = tmp_path / "3c"
    area.mkdir()
    return area


def fill(temporary: Path) -> None:
    for name, content in CONTENT.items():
        (temporary / name).parent.mkdir(parents=True, exist_ok=True)
        (temporary / name).write_bytes(content)


def assert_complete(final: Path) -> None:
    assert read_sealed(final) == JOB
    assert (final / "_SEALED").read_bytes() == b""
    files = {str(p.relative_to(final)) for p in final.rglob("*") if p.is_file()}
    assert files == {*CONTENT, "_SEALED", "_JOB.json"}
    for name, content in CONTENT.items():
        assert (final / name).read_bytes() == content


def list_unfinished(area: Path) -> list[Path]:
    return sorted((area / ".tmp").iterdir())


def test_seal_and_confirm(area: Path) -> None:
    final = area / "batch 1" / "flat"
    assert confirm_sealed(final, area, JOB) is None
    temporary = begin(final, area)
    assert temporary == area / ".tmp" / "batch 1,flat"
    assert list_unfinished(area) == [temporary]
    fill(temporary)
    passed: list[str] = []
    seal(temporary, final, JOB, on_barrier=passed.append)
    assert tuple(passed) == BARRIERS
    assert_complete(final)
    assert list_unfinished(area) == []
    assert confirm_sealed(final, area, {**JOB, "job_id": "8"}) == JOB


def test_a_descriptor_opened_early_serves_the_sync(area: Path) -> None:
    temporary = begin(area / "b", area)
    descriptor = open_filesystem(temporary)
    fill(temporary)
    seal(temporary, area / "b", JOB, filesystem_fd=descriptor)
    os.close(descriptor)
    assert_complete(area / "b")


def test_a_failed_sync_seals_nothing(area: Path) -> None:
    temporary = begin(area / "b", area)
    descriptor = open_filesystem(temporary)
    os.close(descriptor)
    with pytest.raises(OSError, match="syncfs failed"):
        seal(temporary, area / "b", JOB, filesystem_fd=descriptor)
    assert not (area / "b").exists()


@pytest.mark.parametrize("empty", [True, False])
def test_an_existing_target_is_never_replaced(area: Path, empty: bool) -> None:
    final = area / "b"
    final.mkdir()
    if not empty:
        (final / "precious").touch()
    temporary = begin(final, area)
    fill(temporary)
    with pytest.raises(FileExistsError):
        seal(temporary, final, JOB)
    assert os.listdir(final) == ([] if empty else ["precious"])
    assert temporary.exists()


def test_a_resume_keeps_the_files_but_not_the_seal(area: Path) -> None:
    temporary = begin(area / "b", area)
    fill(temporary)
    (temporary / "_SEALED").touch()
    (temporary / "_JOB.json").write_text("{}")
    assert begin(area / "b", area) == temporary
    assert sorted(os.listdir(temporary)) == ["a", "deep", "empty"]


def test_planted_links_are_replaced_not_followed(area: Path) -> None:
    outside = area.parent / "outside"
    outside.write_text("untouched")
    temporary = begin(area / "b", area)
    (temporary / "_JOB.json").symlink_to(outside)
    (temporary / "_SEALED").symlink_to(outside)
    seal(temporary, area / "b", JOB)
    assert outside.read_text() == "untouched"
    assert read_sealed(area / "b") == JOB


def test_read_sealed_trusts_nothing_by_halves(area: Path) -> None:
    final = area / "b"
    assert read_sealed(final) is None
    final.mkdir()
    (final / "_JOB.json").write_bytes(format_job(JOB))
    assert read_sealed(final) is None
    (final / "_SEALED").touch()
    assert read_sealed(final) == JOB
    for broken in (b"", b"{", b"[]", b"\xff", b"[" * 200_000):
        (final / "_JOB.json").write_bytes(broken)
        with pytest.raises(SealedMismatchError, match=r"_JOB\.json is damaged"):
            read_sealed(final)
        with pytest.raises(SealedMismatchError, match=r"remove the folder, and export it again"):
            confirm_sealed(final, area, JOB)
    (final / "_JOB.json").unlink()
    assert read_sealed(final) is None
    (final / "_SEALED").unlink()
    (final / "_SEALED").mkdir()
    assert read_sealed(final) is None


def test_the_job_document_has_one_spelling() -> None:
    assert format_job({"b": 1, "a": "é"}) == b'{\n  "a": "\\u00e9",\n  "b": 1\n}\n'
    assert format_job(JOB) == format_job(dict(reversed(JOB.items())))
    with pytest.raises(ValueError, match="JSON compliant"):
        format_job({"rate": float("nan")})


@pytest.mark.parametrize("field", ["manifest_sha256", "layout_id", "mode", "dedup_mode"])
def test_other_content_at_a_sealed_target_is_refused(area: Path, field: str) -> None:
    seal(begin(area / "b", area), area / "b", JOB)
    other = {**JOB, field: "other"}
    assert not is_same_job(JOB, other)
    with pytest.raises(SealedMismatchError, match=rf"{field}.*choose another id, or remove it"):
        confirm_sealed(area / "b", area, other)


def test_a_document_without_a_manifest_equals_nothing() -> None:
    assert not is_same_job({}, {})
    assert is_same_job(JOB, json.loads(format_job(JOB)))


@pytest.mark.parametrize(
    "target", ["..", "a/../..", "a/.tmp", "a,b", "a/b/c/d/e", ".", "a/_SEALED"]
)
def test_targets_that_are_no_identifiers_are_refused(area: Path, target: str) -> None:
    with pytest.raises(UsageError):
        begin(area / target, area)
    with pytest.raises(UsageError):
        begin(Path("/elsewhere") / target, area)
    assert os.listdir(area) == []


def test_a_folder_is_sealed_only_as_what_it_was_begun_for(area: Path) -> None:
    temporary = begin(area / "b", area)
    for wrong in (area / "c", area.parent / "b", Path("b")):
        with pytest.raises(UsageError):
            seal(temporary, wrong, JOB)
    assert os.listdir(temporary) == []


def test_long_targets_stay_apart(area: Path) -> None:
    ids = ["é" * 100, "é" * 99 + "ex"]
    temporaries = {begin(area / one / two, area) for one in ids for two in ids}
    assert len(temporaries) == 4


def test_discard(area: Path) -> None:
    temporary = begin(area / "b", area)
    fill(temporary)
    discard(temporary)
    discard(temporary)
    assert list_unfinished(area) == []
    (area / "b").mkdir()
    with pytest.raises(UsageError):
        discard(area / "b")
    assert (area / "b").exists()


CHILD = """
import json, os, signal, sys
from pathlib import Path
from fsd.disks.seal import begin, seal
area, final, barrier, job = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
def on_barrier(passed):
    if passed == barrier:
        os.kill(os.getpid(), signal.SIGKILL)
seal(begin(final, area), final, json.loads(job), on_barrier=on_barrier)
"""


@pytest.mark.parametrize("barrier", BARRIERS)
def test_kill_at_every_barrier(area: Path, barrier: str) -> None:
    final = area / "batch" / "flat"
    fill(begin(final, area))
    arguments = [str(area), str(final), barrier, json.dumps(JOB)]
    child = subprocess.run([sys.executable, "-c", CHILD, *arguments], check=False, timeout=60)
    assert child.returncode == -signal.SIGKILL
    renamed = BARRIERS.index(barrier) >= BARRIERS.index("renamed")
    assert final.exists() == renamed
    if confirm_sealed(final, area, JOB) is None:
        seal(begin(final, area), final, JOB)
    assert_complete(final)
    assert list_unfinished(area) == []


@contextmanager
def mounted(image: Path, folder: Path) -> Generator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_root
def test_power_cut_at_every_barrier(tmp_path: Path) -> None:
    """Copies of the device, taken at each barrier without unmounting, are what a power cut leaves:
    all that the filesystem had sent to the device, and nothing of what it still kept in memory."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with mounted(image, tmp_path / "live") as live:
        area = live / "3c"
        area.mkdir()
        final = area / "batch" / "flat"
        temporary = begin(final, area)
        fill(temporary)
        seal(temporary, final, JOB, on_barrier=lambda name: shutil.copy(image, tmp_path / name))
    for barrier in BARRIERS:
        with mounted(tmp_path / barrier, tmp_path / "after") as after:
            final = after / "3c" / "batch" / "flat"
            if barrier == "durable" or final.exists():
                assert_complete(final)
            assert barrier in ("renamed", "durable") or not final.exists()
