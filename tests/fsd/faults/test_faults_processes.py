"""Processes that stop, hang or die while the engine works: nothing hangs, nothing is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable

import pytest
from engine_processes import child, children, kill_engine, kill_process
from store_checks import (
    assert_batch,
    assert_clean,
    assert_copies,
    assert_readable,
    assert_sealed,
    disk,
    finish,
    key_of,
    keys_of,
    put,
    read_object,
    settle,
    shard_files,
    until,
    wait_for_state,
    write_manifest,
)
from store_harness import MIB, Store, with_settings, write_files

from fsd.documents.models import MaterialiseAnswer

MANY_FILES = 20_000
STALL_TIMEOUT_S = 2.0
TRIES = 20


@pytest.fixture
def patient_store(store):
    """A function that makes a started store whose watchdog waits for two seconds."""

    def make(disks: int = 3, **options):
        made = store(disks, started=False, **options)
        made.config = with_settings(made.root, stall_timeout_s=STALL_TIMEOUT_S)
        made.start()
        return made

    return make


@pytest.fixture
def stopped():
    """A function that stops processes; whatever still is stopped at the end is killed."""
    found: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        found.append(pid)

    yield stop
    for pid in found:
        kill_process(pid)


def make_source(folder: str, count: int, seed: int = 1) -> dict[str, bytes]:
    rng = random.Random(seed)
    files = {
        f"{n % 50}/a rather long name of file {n}": rng.randbytes(rng.randint(100, 14_000))
        for n in range(count)
    }
    write_files(folder, files)
    return files


def begun(store: Store, target_id: str) -> bool:
    """Return whether files of an export of this id are written, and it is not over."""
    root = os.path.join(store.config.area_path("3d"), ".tmp", f"{target_id},plain", "1")
    with contextlib.suppress(FileNotFoundError):
        return len(os.listdir(root)) > 3
    return False


def stop_in_the_middle(
    store: Store, manifest: str, find: Callable[[], list[int]]
) -> tuple[MaterialiseAnswer, list[int]]:
    """Stop processes while an export runs: of several exports the first that is not over then."""
    for number in range(TRIES):
        name = f"set{number}"
        answer = store.client.export_to_3d(manifest, name, "plain")
        wait_for_files(store, name, answer)
        pids = find()
        signal_all(pids, signal.SIGSTOP)
        if pids and not os.path.exists(answer.target_root):
            return answer, pids
        signal_all(pids, signal.SIGCONT)
        finish(store, answer.job_id)
    raise AssertionError("each export was over before a process could be stopped")


def wait_for_files(store: Store, name: str, answer: MaterialiseAnswer) -> None:
    """Wait until an export of this id writes files, or is over."""
    until(lambda: begun(store, name) or os.path.exists(answer.target_root), "files of the export")


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # A compiler whose export is over.
            os.kill(pid, number)


@pytest.mark.seconds(25)
@pytest.mark.parametrize("victims", [1, 2])
def test_disk_processes_stopped_while_an_export_runs(patient_store, tmp_path, victims):
    """The one that must work: stopped processes cost the stall limit, not the export."""
    store = patient_store(4, copies_raw=victims + 1, shard_size_bytes=64 * MIB)
    files = make_source(str(tmp_path / "source"), MANY_FILES)
    put(store, str(tmp_path / "source"), "first")
    settle(store)
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))

    def processes() -> list[int]:
        return [child(store.config, f"d{number + 1}").pid for number in range(victims)]

    answer, _ = stop_in_the_middle(store, manifest, processes)
    finish(store, answer.job_id)
    assert_sealed(answer.target_root, files)
    for number in range(victims):
        # An export that needed nothing more of it may end first: the watch finds it then.
        until(lambda name=f"d{number + 1}": told_of_stall(store, name), "a stall told")
        wait_for_state(store, number, "online")
    assert_clean(store)


def told_of_stall(store, name: str) -> bool:
    return any(f"{name} made no progress" in line for line in store.client.health().last_errors)


@pytest.mark.seconds(20)
def test_a_disk_process_stopped_before_a_job_with_much_to_ask(patient_store, stopped, tmp_path):
    """Requests that do not fit the socket of a process that reads nothing must not block all."""
    store = patient_store(2, shard_size_bytes=64 * MIB)
    files = make_source(str(tmp_path / "source"), MANY_FILES)
    put(store, str(tmp_path / "source"), "first")
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))
    stopped(child(store.config, "d1").pid)
    stopped(child(store.config, "d2").pid)
    answer = store.client.export_to_3d(manifest, "set", "plain")
    # Both disks hang, so it cannot succeed now; it must end, say so, and succeed later.
    ended = store.client.wait(answer.job_id)
    assert ended.state in ("failed", "done")
    wait_for_state(store, 0, "online")
    wait_for_state(store, 1, "online")
    answer = store.client.export_to_3d(manifest, "set", "plain")
    finish(store, answer.job_id)
    assert_sealed(answer.target_root, files)


def test_a_disk_process_stopped_while_a_put_runs(patient_store, stopped, tmp_path):
    store = patient_store(3)
    files = make_source(str(tmp_path / "source"), 10_000)
    job_id = store.client.batch_write(str(tmp_path / "source"), "first").job_id
    next(iter(store.client.report(job_id)))
    stopped(child(store.config, "d2").pid)
    assert store.client.job(job_id).state == "running", "the put is too small for this test"
    finish(store, job_id)
    assert_batch(store, "first", files)
    wait_for_state(store, 1, "online")
    assert_clean(store)
    assert_copies(store, files, 2)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_disk_fails_under_a_large_file(patient_store, stopped, tmp_path, how):
    """A file that is larger than any shard is written again elsewhere, within the same put."""
    store = patient_store(3)
    files = {"large": random.Random(3).randbytes(150 * MIB), "small": b"small"}
    folder = write_files(str(tmp_path / "source"), files)
    job_id = store.client.batch_write(folder, "first").job_id

    def growing() -> int | None:
        sizes = [max([0, *map(os.path.getsize, shard_files(path))]) for path in store.disks]
        return next((n for n, size in enumerate(sizes) if size > 6 * MIB), None)

    number = until(lambda: growing() is not None and growing() + 1, "the large file") - 1
    pid = child(store.config, f"d{number + 1}").pid
    stopped(pid) if how == signal.SIGSTOP else kill_process(pid)
    assert store.client.job(job_id).state == "running", "the file is too small for this test"
    finish(store, job_id)
    assert_batch(store, "first", files)
    wait_for_state(store, number, "online")
    assert_clean(store)


def test_a_disk_process_that_dies_is_replaced(patient_store, tmp_path):
    store = patient_store(3)
    files = make_source(str(tmp_path / "source"), 2000)
    job_id = store.client.batch_write(str(tmp_path / "source"), "first").job_id
    for label in ("d1", "d2", "d3"):
        next(iter(store.client.report(job_id)))
        kill_process(child(store.config, label).pid)
        until(lambda name=label: name in {c.label for c in children(store.config)}, "a new one")
        wait_for_state(store, int(label[1]) - 1, "online")
    store.client.wait(job_id)
    assert "readonly" not in {d.state for d in store.client.disks()}
    put(store, str(tmp_path / "source"), "first")
    assert_batch(store, "first", files)
    assert_clean(store)


@pytest.mark.parametrize("victim", ["packer-0", "packer-1"])
def test_a_packer_dies(store, tmp_path, victim):
    """The put fails or not; the same put again finishes, and so does every other one meanwhile."""
    made = store(3)
    files = make_source(str(tmp_path / "source"), 6000)
    job_id = made.client.batch_write(str(tmp_path / "source"), "first").job_id
    next(iter(made.client.report(job_id)))
    kill_process(child(made.config, victim).pid)
    assert made.client.wait(job_id).state in ("failed", "incomplete", "done")
    put(made, str(tmp_path / "source"), "second")
    put(made, str(tmp_path / "source"), "first")
    assert_batch(made, "first", files)
    assert_batch(made, "second", files)
    assert_clean(made)


def test_the_compiler_dies(store, tmp_path):
    made = store(3)
    files = make_source(str(tmp_path / "source"), 3000)
    put(made, str(tmp_path / "source"), "first")
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))
    answer = made.client.export_to_3d(manifest, "set", "plain")
    for found in children(made.config):
        if found.module == "compile_process":
            kill_process(found.pid)
    made.client.wait(answer.job_id)
    answer = made.client.export_to_3d(manifest, "set", "plain")
    finish(made, answer.job_id)
    assert_sealed(answer.target_root, files)


def test_a_stopped_compiler_keeps_nobody_but_its_export(patient_store, tmp_path):
    """Its disks answer others meanwhile, and none is taken for one that hangs."""
    store = patient_store(3)
    files = make_source(str(tmp_path / "source"), MANY_FILES // 2)
    put(store, str(tmp_path / "source"), "first")
    settle(store)
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))

    def processes() -> list[int]:
        return [c.pid for c in children(store.config) if c.module == "compile_process"]

    answer, compilers = stop_in_the_middle(store, manifest, processes)
    try:
        deadline = time.monotonic() + 3 * STALL_TIMEOUT_S
        for content in files.values():
            assert read_object(store, key_of(content)) == content
            if time.monotonic() > deadline:
                break
        assert not any("made no progress" in e for e in store.client.health().last_errors)
    finally:
        signal_all(compilers, signal.SIGCONT)
    finish(store, answer.job_id)
    assert_sealed(answer.target_root, files)


def test_an_interrupted_export_leaves_nothing_to_another_manifest(store, tmp_path):
    """The same id again with other files: what the first attempt wrote must not be sealed in."""
    made = store(3, started=False)
    made.config = with_settings(made.root, batch_size_bytes=MIB)
    made.start()
    files = make_source(str(tmp_path / "source"), 2500)
    put(made, str(tmp_path / "source"), "first")
    name = interrupt_an_export(made, write_manifest(str(tmp_path / "m"), keys_of(files)))
    made.start()
    other = {f"other/{n}": data for n, data in enumerate(list(files.values())[:50])}
    answer = made.client.export_to_3d(
        write_manifest(str(tmp_path / "o"), keys_of(other)), name, "plain"
    )
    finish(made, answer.job_id)
    assert_sealed(answer.target_root, other)


def interrupt_an_export(made: Store, manifest: str) -> str:
    """Kill the engine in the middle of an export; returns its id, of the first that is not over."""
    for number in range(TRIES):
        made.start()
        name = f"set{number}"
        answer = made.client.export_to_3d(manifest, name, "plain")
        wait_for_files(made, name, answer)
        kill_engine(made.config, group=True)
        if not os.path.exists(answer.target_root):
            assert begun(made, name)
            return name
    raise AssertionError("each export was over before it could be interrupted")


def test_an_interrupted_export_in_parts_is_resumed(store, tmp_path):
    made = store(3, started=False)
    made.config = with_settings(made.root, batch_size_bytes=MIB)
    made.start()
    files = make_source(str(tmp_path / "source"), 2500)
    put(made, str(tmp_path / "source"), "first")
    manifest = write_manifest(str(tmp_path / "m"), keys_of(files))
    made.client.export_to_3d(manifest, "set", "plain")
    temporary = os.path.join(made.config.area_path("3d"), ".tmp", "set,plain")
    until(lambda: os.path.exists(os.path.join(temporary, "_PARTS")), "the first part")
    kill_engine(made.config, group=True)
    made.start()
    answer = made.client.export_to_3d(manifest, "set", "plain")
    finish(made, answer.job_id)
    assert_sealed(answer.target_root, files)


def test_the_engine_restarts_at_once_after_a_kill(store, tmp_path):
    """The disks' processes of the dead engine hold their locks for a moment longer."""
    made = store(3)
    files = make_source(str(tmp_path / "source"), 3000)
    for number in range(3):
        job_id = made.client.batch_write(str(tmp_path / "source"), f"batch{number}").job_id
        next(iter(made.client.report(job_id)))
        kill_engine(made.config, group=False)
        made.start()
        assert [d.state for d in made.client.disks()] == ["online"] * 3
    put(made, str(tmp_path / "source"), "batch0")
    assert_batch(made, "batch0", files)


def test_one_batch_and_one_target_have_one_writer(store, tmp_path):
    made = store(3)
    files = make_source(str(tmp_path / "source"), 3000)
    refused: list[BaseException] = []
    jobs: list[str] = []

    def start() -> None:
        try:
            jobs.append(made.client.batch_write(str(tmp_path / "source"), "first").job_id)
        except Exception as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(jobs) == 1 and len(refused) == 3
    assert all("first" in str(error) for error in refused)
    finish(made, jobs[0])
    assert_batch(made, "first", files)


def test_two_puts_of_the_same_content_store_it_once(store, tmp_path):
    """Two clients with overlapping folders, large files among them: each content is stored once."""
    made = store(3)
    common = {f"same/{n}": os.urandom(n % 9000) for n in range(1500)}
    common["large"] = os.urandom(9 * MIB)
    jobs = []
    for number in range(3):
        own = {**common, f"own/{number}": os.urandom(5000), "large again": common["large"]}
        folder = write_files(str(tmp_path / str(number)), own)
        jobs.append((f"batch{number}", own, made.client.batch_write(folder, f"batch{number}")))
    lines = []
    for batch, own, job in jobs:
        finish(made, job.job_id)
        lines += list(made.client.report(job.job_id))
        assert {f.path: f.key for f in made.client.batch_files(batch)} == keys_of(own)
    written = [line["key"] for line in lines if line["status"] == "written"]
    assert (
        len(written)
        == len(set(written))
        == len({key_of(d) for _, o, _ in jobs for d in o.values()})
    )
    assert_readable(made, common)
    assert_clean(made)


def test_reading_while_a_process_is_stopped(patient_store, stopped, tmp_path):
    store = patient_store(2)
    files = {"a": os.urandom(50_000), "large": os.urandom(6 * MIB)}
    put(store, write_files(str(tmp_path / "source"), files), "first")
    stopped(child(store.config, "d1").pid)
    assert_readable(store, files)
    assert not [name for name in os.listdir(store.root) if name.startswith("read-")]
    assert disk(store, 1).state == "online"
