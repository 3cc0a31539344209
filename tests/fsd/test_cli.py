"""The command line as a person uses it: the real program, a real engine, real files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import write_files

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "drystone.py")
HOSTILE_NAME = "evil\x1b[2J\nname\udcff.txt"
FILES = {
    "cat.txt": b"meow" * 1000,
    "deep/er/dog.bin": os.urandom(100_000),
    "twin.txt": b"meow" * 1000,
    HOSTILE_NAME: b"hostile",
}


def drystone(*arguments: str, expect: int = 0, **options: object) -> subprocess.CompletedProcess:
    """Run the program; text is decoded so that odd bytes stay visible."""
    environment = {name: value for name, value in os.environ.items() if name != "DRYSTONE_CONFIG"}
    result = subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        capture_output=True,
        timeout=120,
        env={**environment, **options.pop("env", {})},
        **options,
    )
    assert result.returncode == expect, (arguments, result)
    return result


def json_lines(result: subprocess.CompletedProcess) -> list:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def source(tmp_path) -> str:
    return write_files(str(tmp_path / "source"), FILES)


@pytest.fixture
def filled(store, source):
    """A store whose batch `pets` holds FILES, with DRYSTONE_CONFIG's value at hand."""
    made = store()
    drystone("put", source, "--batch", "pets", env=environment(made))
    return made


def environment(made) -> dict[str, str]:
    return {"DRYSTONE_CONFIG": made.config_path}


def key_of(path: str) -> str:
    return hashlib.sha256(FILES[path]).hexdigest()


# ---- Setting up and running ------------------------------------------------------------------


def test_init_without_disks_shows_an_example(tmp_path):
    result = drystone("init", str(tmp_path / "s"), expect=2)
    assert b"drystone init" in result.stderr and b"--disk" in result.stderr
    assert b"Traceback" not in result.stderr
    assert not os.path.exists(tmp_path / "s")


def test_from_nothing_to_a_file_and_back(short_tmp, source):
    root = os.path.join(short_tmp, "store")
    disks = [os.path.join(short_tmp, name) for name in ("a", "b", "c")]
    options = [part for disk in disks for part in ("--disk", disk)]
    result = drystone("init", root, *options, "--ssd", os.path.join(short_tmp, "ssd"))
    assert b"one device" in result.stderr
    drystone("init", root, *options, expect=2)
    config = ["--config", os.path.join(root, "drystone.toml")]
    try:
        assert b"drystone up" in drystone("ls", *config, expect=1).stderr
        drystone("status", *config, expect=1)
        drystone("up", "--no-mount", *config)
        assert b"already" in drystone("up", "--no-mount", *config).stderr
        status = json.loads(drystone("status", "--json", *config).stdout)
        assert status["engine_answers"] and status["engine_pid"]
        # Without --config, the store is the one here or above.
        drystone("put", source, "--batch", "pets", cwd=root)
        assert drystone("get", key_of("cat.txt"), *config).stdout == FILES["cat.txt"]
        codes = [
            warning["code"] for warning in json_lines(drystone("warnings", "--json", *config))[0]
        ]
        assert codes
    finally:
        drystone("down", *config)
    assert b"already" in drystone("down", *config).stderr
    drystone("up", "--no-mount", *config)
    assert drystone("get", key_of("cat.txt"), *config).stdout == FILES["cat.txt"]
    drystone("down", *config)


def test_up_after_kill_9(filled):
    before = json.loads(drystone("status", "--json", env=environment(filled)).stdout)
    os.kill(before["engine_pid"], signal.SIGKILL)
    drystone("up", "--no-mount", env=environment(filled))
    after = json.loads(drystone("status", "--json", env=environment(filled)).stdout)
    assert after["engine_pid"] != before["engine_pid"]
    answer = drystone("get", key_of("cat.txt"), env=environment(filled))
    assert answer.stdout == FILES["cat.txt"]


def test_a_root_with_a_long_path(short_tmp):
    root = os.path.join(short_tmp, *["long" * 20] * 3)
    disks = [part for name in "ab" for part in ("--disk", os.path.join(short_tmp, name))]
    drystone("init", root, *disks)
    drystone("up", "--no-mount", cwd=root)
    assert drystone("ls", "--json", cwd=root).stdout == b"[]\n"
    drystone("down", cwd=root)


def test_two_ups_at_once_start_one_engine(store):
    made = store(started=False)
    command = [sys.executable, PROGRAM, "up", "--no-mount", "--config", made.config_path]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(b"already" in text for text in told) == [False, True]


def test_a_recycled_pid_is_left_alone(store):
    made = store(started=False)
    os.makedirs(made.config.run_dir, exist_ok=True)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        mark = {"pid": stranger.pid, "started_ticks": 1, "boot_id": "another", "note": ""}
        with open(os.path.join(made.config.run_dir, "engine.pid"), "w", encoding="ascii") as file:
            json.dump(mark, file)
        drystone("down", env=environment(made))
        assert stranger.poll() is None
        stranger.kill()


def test_an_engine_that_cannot_start_shows_why(store):
    made = store(started=False)
    for disk in made.disks:
        os.rename(disk, disk + ".away")
        os.mkdir(disk)
    result = drystone("up", env=environment(made), expect=1)
    assert b"engine.log" in result.stderr
    assert b"no disk of this store can be used" in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_broken_configuration_is_one_line(store):
    made = store(started=False)
    with open(made.config_path, "a", encoding="utf-8") as file:
        file.write("\n[[[broken")
    result = drystone("up", env=environment(made), expect=2)
    assert b"not valid TOML" in result.stderr and result.stderr.count(b"\n") == 1


# ---- Files -----------------------------------------------------------------------------------


def test_put_tells_about_every_file(store, source):
    made = store()
    lines = json_lines(drystone("put", source, "--batch", "pets", "--json", env=environment(made)))
    by_path = {line["path"]: line for line in lines}
    assert set(by_path) == set(FILES)
    for path, line in by_path.items():
        assert line["key"] == key_of(path)
        assert line["size_bytes"] == len(FILES[path])
        assert (line["copies"], line["copies_target"]) == (2, 2)
        assert line["status"] in ("written", "existing")
        assert "reason" not in line
    again = json_lines(drystone("put", source, "--batch", "more", "--json", env=environment(made)))
    assert {line["status"] for line in again} == {"existing"}


def test_skipped_files_are_named_and_make_it_incomplete(store, source):
    made = store()
    os.symlink("/etc/hostname", os.path.join(source, "outside"))
    os.mkfifo(os.path.join(source, "fifo"))
    result = drystone("put", source, "--batch", "pets", env=environment(made), expect=3)
    assert b"outside" in result.stderr and b"fifo" in result.stderr
    assert b"2 skipped" in result.stderr
    assert result.stdout == b""


def test_no_name_reaches_the_terminal_raw(filled):
    result = drystone("ls", "pets", env=environment(filled))
    assert b"\x1b" not in result.stdout and b"\xff" not in result.stdout
    assert len(result.stdout.splitlines()) == len(FILES)
    assert rb"evil\x1b[2J\nname\udcff.txt" in result.stdout
    exact = json_lines(drystone("ls", "pets", "--json", env=environment(filled)))
    assert {line["path"] for line in exact} == set(FILES)


def test_ls_without_a_batch_lists_batches(filled):
    assert b"pets" in drystone("ls", env=environment(filled)).stdout
    (batches,) = json_lines(drystone("ls", "--json", env=environment(filled)))
    assert [batch["batch"] for batch in batches] == ["pets"]


def test_get_and_head(filled, tmp_path):
    output = str(tmp_path / "dog.bin")
    key = key_of("deep/er/dog.bin")
    drystone("get", key, "-o", output, env=environment(filled))
    with open(output, "rb") as file:
        assert file.read() == FILES["deep/er/dog.bin"]
    drystone("get", key, "-o", output, env=environment(filled), expect=2)
    drystone("get", key, "--json", env=environment(filled), expect=2)
    drystone("get", "0" * 64, env=environment(filled), expect=1)
    drystone("head", "nonsense", env=environment(filled), expect=2)
    head = json.loads(drystone("head", key, "--json", env=environment(filled)).stdout)
    assert (head["key"], head["size_bytes"], head["copies"]) == (key, 100_000, 2)
    assert b"2 of 2" in drystone("head", key, env=environment(filled)).stdout
    # Nothing of a get is left behind.
    assert not [name for name in os.listdir(filled.config.run_dir) if name.startswith("get-")]


# ---- Datasets --------------------------------------------------------------------------------


def test_a_listing_is_a_manifest(filled):
    listing = drystone("ls", "pets", "--json", env=environment(filled)).stdout
    result = drystone(
        *("export", "-", "--id", "set", "--layout", "plain", "--mode", "copy"),
        env=environment(filled),
        input=listing,
    )
    target = os.fsdecode(result.stdout.strip())
    for path, data in FILES.items():
        with open(os.path.join(target, path), "rb") as file:
            assert file.read() == data
    # The same again is a no-op; other content under the same name is refused.
    again = ("export", "-", "--id", "set", "--layout", "plain", "--mode", "copy", "--json")
    answer = json.loads(drystone(*again, env=environment(filled), input=listing).stdout)
    assert (answer["target_root"], answer["job"]["state"]) == (target, "done")
    other = listing.splitlines(keepends=True)[0]
    result = drystone(*again, env=environment(filled), input=other, expect=1)
    assert b"sealed" in result.stderr


def test_a_bad_manifest_is_one_clear_answer(filled, tmp_path):
    manifest = tmp_path / "bad.jsonl"
    manifest.write_text('{"path": "../x", "key": "' + "0" * 64 + '"}\n{broken\n')
    options = ("--id", "set", "--layout", "bad", "--mode", "copy")
    result = drystone("export", str(manifest), *options, env=environment(filled), expect=2)
    assert b"line 1" in result.stderr and b"line 2" in result.stderr
    assert b"nothing was started" in result.stderr
    drystone("export", str(tmp_path / "no"), *options, env=environment(filled), expect=2)


def test_views_in_the_mount(filled, tmp_path):
    point = filled.mount()
    listing = drystone("ls", "pets", "--json", env=environment(filled)).stdout
    (tmp_path / "m.jsonl").write_bytes(listing)
    result = drystone(
        *("stage", str(tmp_path / "m.jsonl"), "--batch", "b1", "--layout", "l1", "--mode", "view"),
        env=environment(filled),
    )
    assert os.fsdecode(result.stdout.strip()) == os.path.join(point, "stage", "b1", "l1")
    for path, data in FILES.items():
        with open(os.path.join(point, "stage", "b1", "l1", path), "rb") as file:
            assert file.read() == data
    assert b"stage/b1/l1" in drystone("views", env=environment(filled)).stdout
    drystone("unpublish", "stage/b1/l1", env=environment(filled))
    assert drystone("views", "--json", env=environment(filled)).stdout.strip() == b"[]"
    drystone("unpublish", "stage/b1", env=environment(filled), expect=2)
    drystone("unpublish", "stage/b1/l1", env=environment(filled), expect=1)


# ---- Mount -----------------------------------------------------------------------------------


def test_mount_umount_and_a_dead_mount(filled, short_tmp):
    filled.mount()
    second = os.path.join(short_tmp, "second")
    drystone("mount", second, env=environment(filled))
    with open(os.path.join(second, "batches", "pets", "cat.txt"), "rb") as file:
        assert file.read() == FILES["cat.txt"]
    drystone("umount", second, env=environment(filled))
    assert os.listdir(second) == []
    pid = json.loads(drystone("status", "--json", env=environment(filled)).stdout)["mount_pid"]
    os.kill(pid, signal.SIGKILL)
    drystone("up", env=environment(filled))
    with open(os.path.join(filled.config.mount, "batches", "pets", "cat.txt"), "rb") as file:
        assert file.read() == FILES["cat.txt"]
    with open(os.path.join(filled.config.mount, "batches", "pets", "cat.txt"), "rb"):
        # Busy, and yet it goes.
        drystone("down", env=environment(filled))
    assert not os.path.exists(os.path.join(filled.config.mount, "batches"))


def test_a_mount_point_that_would_hide_files(filled, tmp_path):
    filled.mount()
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "file").write_text("mine")
    result = drystone("mount", str(tmp_path / "occupied"), env=environment(filled), expect=2)
    assert b"not empty" in result.stderr


# ---- Care ------------------------------------------------------------------------------------


def test_care_commands_answer(filled):
    for command in (
        ("health",),
        ("capacity",),
        ("warnings",),
        ("verify", "--all"),
        ("verify", "--batch", "pets"),
        ("verify", "--sample", "0.5"),
        ("fsck",),
        ("reindex",),
        ("rebuild",),
        ("jobs",),
        ("disk", "list"),
        ("views",),
    ):
        assert drystone(*command, env=environment(filled)).stderr.count(b"drystone:") == 0
        for document in json_lines(drystone(*command, "--json", env=environment(filled))):
            assert isinstance(document, (dict, list))


@pytest.mark.parametrize("options", [(), ("--all", "--sample", "0.5"), ("--sample", "2")])
def test_verify_wants_one_clear_choice(filled, options):
    drystone("verify", *options, env=environment(filled), expect=2)


def test_a_lost_disk_is_rebuilt(filled):
    for folder, _, names in os.walk(filled.disks[0]):
        for name in names:
            os.truncate(os.path.join(folder, name), 0)
            os.unlink(os.path.join(folder, name))
    drystone("rebuild", "--disk", "nothing", "--yes", env=environment(filled), expect=2)
    drystone("rebuild", "--disk", "d1", env=environment(filled), input=b"n\n", expect=1)
    drystone("rebuild", "--disk", "d1", "--dry-run", env=environment(filled))
    assert b"gone" not in drystone("disk", "list", env=environment(filled)).stdout
    drystone("rebuild", "--disk", "d1", "--yes", env=environment(filled))
    for path, data in FILES.items():
        assert drystone("get", key_of(path), env=environment(filled)).stdout == data
        head = json.loads(drystone("head", key_of(path), "--json", env=environment(filled)).stdout)
        assert head["copies"] == 2 and "d1" not in head["disks"]
    drystone("verify", "--all", env=environment(filled))


def test_interrupt_detaches(store, tmp_path):
    made = store()
    (tmp_path / "big").mkdir()
    with open(tmp_path / "big" / "zeros", "wb") as file:
        file.truncate(3 << 30)
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "put", str(tmp_path / "big"), "--batch", "big"],
        env={**os.environ, **environment(made)},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not (running := [job for job in made.client.jobs() if job.state == "running"]):
        assert time.monotonic() < deadline and process.poll() is None
    # The command may not have its answer yet; afterwards it waits for the job.
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=30)[1]
    assert process.returncode == 130, told
    assert f"drystone job cancel {running[0].job_id}".encode() in told
    drystone("job", "cancel", running[0].job_id, env=environment(made))
    drystone("job", "wait", running[0].job_id, env=environment(made), expect=1)


def test_a_closed_pipe_is_quiet(store, tmp_path):
    made = store()
    folder = str(tmp_path / "many")
    os.mkdir(folder)
    for number in range(3000):
        write_files(folder, {f"file-{number:05}-{'x' * 100}": b"same"})
    made.put(folder, "many")
    process = subprocess.Popen(
        [sys.executable, PROGRAM, "ls", "many"],
        env={**os.environ, **environment(made)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=30)
    assert errors == b""


# ---- Start-up --------------------------------------------------------------------------------


def test_commands_import_only_what_they_need(filled):
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r}); sys.argv = ['drystone', *sys.argv[1:]]\n"
        "import atexit; atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
        "import drystone; drystone.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "head", key_of("cat.txt")],
        env={**os.environ, **environment(filled)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0
    loaded = set(result.stderr.rpartition("LOADED")[2].split())
    assert loaded & {"fastapi", "numpy", "uvicorn", "pyfuse3", "trio", "lmdb"} == set()
    assert "fsd.client" in loaded
