"""Setting up, starting, stopping and mounting by the command line: the real program and engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from command import FILES, PROGRAM, drystone, environment, json_lines, key_of
from store_harness import with_few_services

# ---- Setting up and running ------------------------------------------------------------------


def test_init_without_disks_shows_an_example(tmp_path):
    result = drystone("init", str(tmp_path / "s"), expect=2)
    assert b"drystone init" in result.stderr and b"--disk" in result.stderr
    assert b"Traceback" not in result.stderr
    assert not os.path.exists(tmp_path / "s")


@pytest.mark.seconds(22)
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
    with_few_services(filled.root)
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
    with_few_services(root)
    drystone("up", "--no-mount", cwd=root)
    assert drystone("ls", "--json", cwd=root).stdout == b"[]\n"
    drystone("down", cwd=root)


def test_the_nearest_configuration_wins(store):
    config = store(started=False).config_path
    for arguments, variable in (
        (("status", "--config", config), "/nowhere"),
        (("--config", config, "status"), "/nowhere"),
        (("--config", "/nowhere", "status", "--config", config), "/nowhere"),
        (("status",), config),
    ):
        # 1 is a store whose engine is down, 2 would be no store.
        drystone(*arguments, env={"DRYSTONE_CONFIG": variable}, expect=1)
    drystone("--config", "/nowhere", "disk", "list", env={"DRYSTONE_CONFIG": config}, expect=2)


def test_two_ups_at_once_start_one_engine(store):
    made = store(started=False)
    with_few_services(made.root)
    command = [sys.executable, PROGRAM, "up", "--no-mount", "--config", made.config_path]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(b"engine was up already" in text for text in told) == [False, True]


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


# ---- Mount -----------------------------------------------------------------------------------


def test_mount_umount_and_a_dead_mount(filled, short_tmp):
    with_few_services(filled.root)
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
