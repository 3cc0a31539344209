"""The command line as tests call it: it owns running the real program and reading its answers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import warm_start

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
PROGRAM = os.path.join(ROOT, "drystone.py")
TIMEOUT_S = 120
HOSTILE_NAME = "evil\x1b[2J\nname\udcff.txt"
FILES = {
    "cat.txt": b"meow" * 1000,
    "deep/er/dog.bin": os.urandom(100_000),
    "twin.txt": b"meow" * 1000,
    HOSTILE_NAME: b"hostile",
}


def drystone(
    *arguments: str, expect: int = 0, **options: object
) -> subprocess.CompletedProcess[bytes]:
    """Run the program as `run` does; its exit code must be `expect`."""
    result = run(*arguments, **options)
    assert result.returncode == expect, (arguments, result)
    return result


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the program to its end, with the options of `subprocess.run`.

    It is a fork of a process that has imported what it needs, unless it is to have more of its own
    than an input, an environment and a working folder.
    """
    environment = {name: value for name, value in os.environ.items() if name != "DRYSTONE_CONFIG"}
    environment |= options.pop("env", {})
    if set(options) <= {"cwd", "input"}:
        words = [sys.executable, "-m", "drystone", *arguments]
        return warm_start.warm.run(words, timeout=TIMEOUT_S, env=environment, **options)
    return subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        capture_output=True,
        timeout=TIMEOUT_S,
        env=environment,
        **options,
    )


def run_text(*arguments: str, config_path: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the program on a store, with `text` as its input; odd bytes of outputs stay visible."""
    ended = run(*arguments, env={"DRYSTONE_CONFIG": config_path}, input=text.encode())
    texts = (output.decode("utf-8", "surrogateescape") for output in (ended.stdout, ended.stderr))
    return subprocess.CompletedProcess(arguments, ended.returncode, *texts)


def json_lines(result: subprocess.CompletedProcess) -> list:
    return [json.loads(line) for line in result.stdout.splitlines()]


def environment(made) -> dict[str, str]:
    return {"DRYSTONE_CONFIG": made.config_path}


def key_of(path: str) -> str:
    return hashlib.sha256(FILES[path]).hexdigest()
