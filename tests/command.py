"""The command line as tests call it: it owns running the real program and reading its answers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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


def environment(made) -> dict[str, str]:
    return {"DRYSTONE_CONFIG": made.config_path}


def key_of(path: str) -> str:
    return hashlib.sha256(FILES[path]).hexdigest()
