"""The launcher: what a person meets first.

The launcher is run in a copied tree whose `.venv/bin/python` is this very interpreter and whose
drystone.py only tells how it was called; nothing is installed here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAUNCHER = os.path.join(ROOT, "drystone")

TELL = """
import json, os, sys
file = os.path.abspath(__file__)
print(json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd(), "file": file}))
"""
LOCKS = ("requirements.lock", "requirements-dev.lock")
LOCKED = "locked==1 --hash=sha256:" + 64 * "0" + "\n"


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def stamp(tree: str, name: str) -> None:
    """Declare tree installed, as the launcher does when it has finished."""
    path = os.path.join(tree, ".venv", name)
    write(path, tree + "\n")
    shutil.copystat(os.path.join(tree, "pyproject.toml"), path)


@pytest.fixture
def tree(tmp_path) -> str:
    """An installed copy, in a folder whose name has spaces and a quote."""
    tree = str(tmp_path / "dry stone's copy")
    os.makedirs(os.path.join(tree, ".venv", "bin"))
    shutil.copy2(LAUNCHER, tree)
    shutil.copy2(os.path.join(ROOT, "pyproject.toml"), tree)
    for name in LOCKS:
        write(os.path.join(tree, name), LOCKED)
        shutil.copystat(os.path.join(tree, "pyproject.toml"), os.path.join(tree, name))
    write(os.path.join(tree, "drystone.py"), TELL)
    os.symlink(sys.executable, os.path.join(tree, ".venv", "bin", "python"))
    stamp(tree, ".drystone-stamp")
    stamp(tree, ".drystone-stamp-dev")
    return tree


def run(
    command: list[str], timeout_s: float = 60.0, **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, **options)


def told(result: subprocess.CompletedProcess[str]) -> dict:
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def bare_path(tmp_path, *programs: str) -> dict[str, str]:
    """Return an environment whose PATH has only these programs."""
    folder = str(tmp_path / "programs")
    os.makedirs(folder)
    for program in programs:
        os.symlink(shutil.which(program), os.path.join(folder, program))
    return {"PATH": folder, "HOME": str(tmp_path)}


def test_the_syntax_is_plain_sh():
    assert run(["sh", "-n", LAUNCHER]).returncode == 0
    assert os.access(LAUNCHER, os.X_OK)


def test_arguments_and_cwd_arrive_unchanged(tree, tmp_path):
    arguments = ["put", "two words", "", "*", "--json", "$HOME", "a'b\"c\n"]
    answer = told(run([os.path.join(tree, "drystone"), *arguments], cwd=tmp_path))
    assert answer == {
        "arguments": arguments,
        "cwd": str(tmp_path),
        "file": os.path.join(tree, "drystone.py"),
    }


def test_it_works_through_symlinks(tree, tmp_path):
    os.symlink(os.path.join(os.path.basename(tree), "drystone"), tmp_path / "relative")
    os.symlink("relative", tmp_path / "second")
    os.symlink(tree, tmp_path / "folder")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for way in ("../second", str(tmp_path / "relative"), "../folder/drystone"):
        answer = told(run([way, "x"], cwd=elsewhere))
        assert answer["arguments"] == ["x"]
        assert os.path.realpath(answer["file"]) == os.path.join(tree, "drystone.py")


def test_it_works_from_path_and_as_an_argument_of_sh(tree, tmp_path):
    path = {**os.environ, "PATH": tree + os.pathsep + os.environ["PATH"]}
    assert told(run(["drystone", "x"], cwd=tmp_path, env=path))["arguments"] == ["x"]
    assert told(run(["sh", "drystone", "x"], cwd=tree))["arguments"] == ["x"]


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_warm_path_starts_no_other_program(tree, tmp_path, command):
    # With nothing on PATH only builtins can work, and python by its full path.
    environment = bare_path(tmp_path)
    shell = shutil.which("sh")
    answer = told(run([shell, os.path.join(tree, "drystone"), command], env=environment))
    assert answer["arguments"] == [command]
    trace = run([shell, "-x", os.path.join(tree, "drystone"), command], env=environment).stderr
    assert "exec" in trace.splitlines()[-1]
    # A subshell would need no program. The one in the text follows a symlink, and only then.
    with open(LAUNCHER, encoding="utf-8") as file:
        code = [line for line in file.read().splitlines() if not line.lstrip().startswith("#")]
    warm = "\n".join(code[: code.index("say() {")])
    assert warm.count("$(") == warm.count("link=$(readlink") == 1
    assert "`" not in warm


@pytest.mark.parametrize(
    "stale",
    ["no stamp", "other folder", "newer project", "older project", "newer lock", "no python"],
)
def test_what_is_not_fresh_is_installed_again(tree, tmp_path, stale):
    project = os.path.join(tree, "pyproject.toml")
    mark = os.path.join(tree, ".venv", ".drystone-stamp")
    if stale == "no stamp":
        os.unlink(mark)
    elif stale == "other folder":
        write(mark, str(tmp_path) + "\n")
        shutil.copystat(project, mark)
    elif stale == "no python":
        os.unlink(os.path.join(tree, ".venv", "bin", "python"))
    elif stale == "older project":
        when_s = os.stat(project).st_mtime - 60
        for name in ("pyproject.toml", *LOCKS):
            os.utime(os.path.join(tree, name), (when_s, when_s))
    else:
        newer = project if stale == "newer project" else os.path.join(tree, "requirements.lock")
        when_s = os.stat(project).st_mtime + 60
        os.utime(newer, (when_s, when_s))
    # Without python on PATH the cold path shows itself by its first complaint, and changes nothing.
    result = run([os.path.join(tree, "drystone"), "demo"], env=bare_path(tmp_path, "mkdir", "rm"))
    assert (result.returncode, result.stdout) == (1, "")
    assert "needs Python 3.11 or newer" in result.stderr
    assert result.stderr.count("\n") == 1


def test_test_needs_its_own_stamp(tree, tmp_path):
    os.unlink(os.path.join(tree, ".venv", ".drystone-stamp-dev"))
    environment = bare_path(tmp_path, "mkdir", "rm")
    assert told(run([os.path.join(tree, "drystone"), "demo"], env=environment))
    result = run([os.path.join(tree, "drystone"), "test"], env=environment)
    assert (result.returncode, result.stdout) == (1, "")


def test_missing_packages_without_apt_are_named(tree, tmp_path):
    shutil.rmtree(os.path.join(tree, ".venv"))
    # Everything but the compiler, pkg-config and fusermount3.
    environment = bare_path(tmp_path, "mkdir", "rm")
    os.symlink(os.path.realpath(sys.executable), tmp_path / "programs" / "python3")
    result = run([os.path.join(tree, "drystone"), "demo"], env=environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert "gcc libc6-dev pkg-config libfuse3-dev fuse3" in result.stderr
    assert "no apt-get here" in result.stderr


def test_a_second_call_waits_for_the_first(tree, tmp_path):
    if shutil.which("flock") is None:
        pytest.skip("flock is not installed here; the launcher does without it too")
    os.unlink(os.path.join(tree, ".venv", ".drystone-stamp"))
    first = subprocess.Popen(
        [shutil.which("flock"), tree, "sh", "-c", "echo locked; read answer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout.readline() == "locked\n"
    second = subprocess.Popen(
        [os.path.join(tree, "drystone"), "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "waiting for it" in second.stderr.readline()
    stamp(tree, ".drystone-stamp")
    first.communicate("done\n")
    output, errors = second.communicate(timeout=120)
    assert (second.returncode, errors) == (0, "")
    assert json.loads(output)["arguments"] == ["x"]


OFFLINE_PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1"
"""
BACKEND = """
import os, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    assert config_settings == {"editable_mode": "compat"}, config_settings
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        described = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: dev\\n"
        wheel.writestr("tiny-1.dist-info/METADATA", described)
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
"""
APT = """#!/bin/sh
echo "$*" >>"$APT_CALLS"
case " $* " in *" fio "* | *" chromium-headless-shell "*) exit 100 ;; esac
"""


def offline(tree: str, tmp_path) -> tuple[list[str], dict[str, str]]:
    """Return the command that installs tree anew without an index, and its variables."""
    shutil.rmtree(os.path.join(tree, ".venv"))
    write(os.path.join(tree, "pyproject.toml"), OFFLINE_PROJECT)
    write(os.path.join(tree, "backend.py"), BACKEND)
    programs = ["mkdir", "rm", "mv", "touch", "tail", "grep"]
    programs += ["id", "env", "gcc", "pkg-config", "fusermount3"]
    environment = {**bare_path(tmp_path, *programs), "PIP_NO_INDEX": "1"}
    os.symlink(os.path.realpath(sys.executable), tmp_path / "programs" / "python3")
    return [shutil.which("sh"), os.path.join(tree, "drystone")], environment


@pytest.mark.skipif(os.getuid() != 0, reason="packages are installed as root only")
def test_installed_from_nothing_where_a_package_and_a_newer_pip_cannot_be_had(tree, tmp_path):
    calls = str(tmp_path / "calls")
    command, environment = offline(tree, tmp_path)
    environment["APT_CALLS"] = calls
    write(str(tmp_path / "programs" / "apt-get"), APT)
    os.chmod(tmp_path / "programs" / "apt-get", 0o755)
    command += ["test", "x"]
    first = run(command, 400.0, env=environment)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["arguments"] == ["test", "x"]
    with open(calls, encoding="utf-8") as file:
        called = [line.rpartition("install --no-install-recommends ")[2] for line in file]
    wanted = [
        "chromium-headless-shell",
        "tesseract-ocr",
        "xfsprogs",
        "btrfs-progs",
        "fio",
        "pgbackrest",
    ]
    # The first is had in another form.
    one_by_one = [wanted[0], "chromium", *wanted[1:]]
    assert [line.split() for line in called[1:]] == [wanted, *([one] for one in one_by_one)]
    refused = [line for line in first.stderr.splitlines() if "could not be installed" in line]
    assert len(refused) == 1 and refused[0].startswith("drystone: fio ")
    with open(os.path.join(tree, ".venv", "install.log"), encoding="utf-8") as file:
        log = file.read()
    assert "the tested versions cannot be had here" in first.stderr
    assert "No matching distribution found for locked==1" in log
    assert "No matching distribution found for pip" in log or "already satisfied: pip" in log
    assert told(run(command, env=bare_path(tmp_path / "folder")))["arguments"] == ["test", "x"]


def test_a_package_that_is_not_the_tested_one_is_not_installed(tree, tmp_path):
    command, environment = offline(tree, tmp_path)
    with zipfile.ZipFile(tmp_path / "locked-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("locked.py", "")
        described = "Metadata-Version: 2.1\nName: locked\nVersion: 1\n"
        wheel.writestr("locked-1.dist-info/METADATA", described)
        wheel.writestr("locked-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr("locked-1.dist-info/RECORD", "")
    result = run([*command, "x"], 400.0, env={**environment, "PIP_FIND" + "_LINKS": str(tmp_path)})
    assert (result.returncode, result.stdout) == (1, "")
    assert "a package is not the one that was tested" in result.stderr
    assert not os.path.exists(os.path.join(tree, ".venv", ".drystone-stamp"))


def test_the_locks_hold_one_file_hash_at_least_and_no_place(tmp_path):
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    asked = {
        "requirements.lock": project["dependencies"],
        "requirements-dev.lock": [
            *project["dependencies"],
            *(one for ones in extras.values() for one in ones if not one.startswith("drystone[")),
        ],
    }
    for name, requirements in asked.items():
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        assert "://" not in text and "index" not in text and "file:" not in text
        versions = locked_versions(text)
        for requirement in map(Requirement, requirements):
            for version in versions[canonicalize_name(requirement.name)]:
                assert requirement.specifier.contains(version), (name, str(requirement), version)


def locked_versions(text: str) -> dict[str, list[str]]:
    """Return the versions of each package in a lock file; each entry must have a hash."""
    versions: dict[str, list[str]] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        found = Requirement(requirement)
        assert hashes and all(len(one.strip()) == len("sha256:") + 64 for one in hashes), (
            requirement
        )
        exact = str(found.specifier)
        assert exact.startswith("=="), requirement
        versions.setdefault(canonicalize_name(found.name), []).append(exact.removeprefix("=="))
    return versions
