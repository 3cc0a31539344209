"""The demo as a newcomer runs it: the real program on a small folder, from nothing to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request

import pytest
import warm_start
from command import PROGRAM
from store_harness import write_files

from fsd.cli.daemons import daemon_mount
from fsd.cli.demo import demo_files

TIMEOUT_S = 280


def demo(
    *arguments: str, cwd: str, expect: int = 0, cold: bool = False
) -> subprocess.CompletedProcess:
    """Run a demo; `cold` as a newcomer does, with all that the program has to import."""
    if cold:
        program = [sys.executable, PROGRAM, "demo", *arguments]
        ended = subprocess.run(program, cwd=cwd, capture_output=True, timeout=TIMEOUT_S)
    else:
        words = [sys.executable, "-m", "drystone", "demo", *arguments]
        ended = warm_start.warm.run(words, cwd=cwd, timeout=TIMEOUT_S)
    texts = ended.stdout.decode(), ended.stderr.decode()
    result = subprocess.CompletedProcess(arguments, ended.returncode, *texts)
    assert result.returncode == expect, result
    return result


@pytest.fixture
def place(short_tmp):
    """A folder to run demos in; whatever is left running there is stopped."""
    yield short_tmp
    if os.path.exists(os.path.join(short_tmp, "drystone-demo", ".drystone-demo")):
        demo("--clean", cwd=short_tmp)


def make_source(folder: str) -> str:
    files = {f"part{n % 7}/file-{n}.bin": os.urandom(n * 97 % 40_000) for n in range(300)}
    write_files(folder, {**files, "same-a": b"twin", "same-b": b"twin", "odd\udcff\nname": b"odd"})
    os.symlink("/etc/hostname", os.path.join(folder, "outside"))
    return folder


@pytest.mark.seconds(43)
def test_the_whole_story_twice(place):
    source = make_source(os.path.join(place, "source"))
    for is_first in (True, False):
        answer = json.loads(demo(source, "--json", cwd=place, cold=is_first).stdout)
        assert answer["ok"], answer
        assert sum(answer["skipped"].values()) == 1
        steps = {step["step"]: step for step in answer["steps"]}
        compared = [step for name, step in steps.items() if name.startswith("Compare")]
        assert compared and all(step["note"] == "all equal" for step in compared)
        assert {step["files"] for step in compared} == {303 // 2}
        made = next(step for name, step in steps.items() if name.startswith("Let workers"))
        loaded = next(step for name, step in steps.items() if name.startswith("Read it with"))
        assert 0 < loaded["files"] < made["files"]
        address = answer["closing"][1].split()[0]
        with urllib.request.urlopen(address + "/login", timeout=60) as page:
            assert b"Drystone" in page.read()
        if daemon_mount.mount_problem() is None:
            assert answer["mounted"]
            assert any(name.startswith("Compare the view again") for name in steps)
    demo("--stop", cwd=place)
    assert os.path.exists(os.path.join(place, "drystone-demo", "drystone.toml"))
    demo("--clean", cwd=place)
    assert not os.path.exists(os.path.join(place, "drystone-demo"))
    assert sorted(os.listdir(place)) == ["source"]


@pytest.mark.seconds(24)
def test_real_filesystems(place):
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        pytest.skip("loop filesystems need root and /dev/loop-control")
    source = make_source(os.path.join(place, "source"))
    result = demo(source, "--loop", "--no-gui", cwd=place)
    assert "In the browser" not in result.stdout
    assert "Everything was as promised." in result.stdout
    demo("--clean", cwd=place)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert place not in file.read()


def test_only_its_own_folder_is_touched(place):
    write_files(os.path.join(place, "drystone-demo"), {"precious": b"mine"})
    for arguments in ((), ("--clean",), ("--stop",)):
        result = demo(*arguments, cwd=place, expect=2)
        assert result.stderr.startswith("drystone: ")
        assert result.stderr.count("\n") == 1
    assert os.listdir(os.path.join(place, "drystone-demo")) == ["precious"]


def test_a_source_that_is_not_there(place):
    demo("nothing-here", cwd=place, expect=2)
    assert os.listdir(place) == []


def test_the_comparison_sees_what_differs(tmp_path):
    source = write_files(str(tmp_path / "a"), {"x": b"1", "y": b"2", "z": b"3"})
    copy = write_files(str(tmp_path / "b"), {"x": b"1", "y": b"!"})
    found = demo_files.compare(source, copy, ["x", "y", "z"], uncached=True)
    assert (found.files, found.different_count) == (3, 2)
    assert found.different == ("y: differs from its source", "z: No such file or directory")


def test_the_sample_is_bounded():
    files = demo_files.sample_files()
    if not files:
        pytest.skip("this machine has none of the usual folders in /usr/share")
    assert len(files) == len(set(files)) <= demo_files.SAMPLE_FILES_MAX
    assert files == demo_files.sample_files()
    assert not any(path.startswith(("/", "..")) for path in files)
