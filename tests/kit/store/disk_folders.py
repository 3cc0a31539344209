"""Folders that stand for disks: it owns where they are, and what drystone.toml says of that."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
from store_harness import Store

from fsd.disks.config import load_config

ODD = "an odd \"place'\n[[disk]]\t\\ä"


def folder(*parts: str) -> str:
    path = os.path.join(*parts)
    os.makedirs(path)
    return path


def where(store: Store) -> dict[str, str]:
    """Where drystone.toml says that the disks are, by their names."""
    return {one.name: one.path for one in load_config(store.config_path).disk}


def moved(store: Store, number: int, path: str) -> str:
    """Take a disk to another folder, as if it were mounted there."""
    os.rename(store.disks[number], path)
    store.disks[number] = path
    return path


@contextlib.contextmanager
def mounting() -> Iterator[Callable[..., str]]:
    """A function that mounts at a path, with the options of `mount`; all is unmounted again."""
    if os.getuid() != 0:
        pytest.skip("needs root to mount")
    mounted: list[str] = []

    def mount(path: str, *options: str) -> str:
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", *options, path], check=True)
        mounted.append(path)
        return path

    try:
        yield mount
    finally:
        for path in reversed(mounted):
            subprocess.run(["umount", "-l", path], check=True)
