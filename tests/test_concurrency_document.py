"""What docs/concurrency.md names is there; every lock is named there and says what it guards."""

from __future__ import annotations

import ast
import functools
import glob
import os
import re
from collections.abc import Iterator

import import_contracts

ROOT = import_contracts.ROOT
FOLDERS = [name for layer in import_contracts.LAYERS for name in layer]
DOCUMENT = "docs/concurrency.md"

LOCKS = {
    "threading": {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"},
    "asyncio": {"Lock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"},
    "multiprocessing": {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"},
    "trio": {"Lock", "StrictFIFOLock", "Condition", "Semaphore", "CapacityLimiter"},
    "anyio": {"Lock", "Condition", "Semaphore", "CapacityLimiter"},
}
FILE_LOCKS = {"flock", "lockf"}
ROW_LOCKS = re.compile(r"advisory|\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b|\bLOCK TABLE\b")


@functools.cache
def read(path: str) -> str:
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def product(ending: str) -> Iterator[str]:
    """Yield the paths of the product's files with this ending."""
    for folder in FOLDERS:
        yield from glob.glob(f"{folder}/**/*{ending}", root_dir=ROOT, recursive=True)


def named() -> set[str]:
    """Return what the document has between backticks."""
    return set(re.findall(r"`([^`]+)`", read(DOCUMENT)))


def locks_made(source: str) -> list[int]:
    """Return the lines in which a lock of threads or tasks is made."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in LOCKS
        for alias in node.names
        if alias.name in LOCKS[node.module]
    }

    def is_lock(node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return node.attr in LOCKS.get(node.value.id, ())
        return isinstance(node, ast.Name) and node.id in imported

    makers: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            makers.append(node.func)
        elif isinstance(node, ast.keyword) and node.arg == "default_factory":
            makers.append(node.value)
    return sorted({node.lineno for node in makers if is_lock(node)})


def takes_file_lock(source: str) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in FILE_LOCKS
        for node in ast.walk(ast.parse(source))
    )


def uncommented(source: str) -> list[int]:
    """Return the lines that make a lock, with no comment there, or above it and its neighbours."""
    lines = source.splitlines()
    made = locks_made(source)
    missing = []
    for number in made:
        above = number - 1
        while above in made:
            above -= 1
        comment = lines[above - 1].lstrip().startswith("#")
        if not (comment or "  # " in lines[number - 1]):
            missing.append(number)
    return missing


def test_it_finds_locks_however_they_are_made():
    for made in (
        "import threading\nx = threading.Lock()\n",
        "from threading import RLock as R\nx = R()\n",
        "import threading\nx: object = field(default_factory=threading.Condition)\n",
        "import trio\nx = trio.CapacityLimiter(3)\n",
    ):
        assert locks_made(made) == uncommented(made) == [2], made
        assert uncommented(made.replace("\nx", "\n# Guards y.\nx")) == []
    assert locks_made("from sql.selector import Condition\nx = Condition()\n") == []
    assert takes_file_lock("fcntl.flock(fd, 2)") and not takes_file_lock("lock(fd)")


def test_every_path_that_it_names_is_there():
    paths = {one for one in named() if re.fullmatch(r"[\w/-]+(/|\.(py|sql|md))", one)}
    assert len(paths) > 60
    assert [path for path in sorted(paths) if not os.path.exists(os.path.join(ROOT, path))] == []


def test_it_names_every_file_that_has_a_lock():
    files = {path for path in product(".py") if locks_made(read(path))}
    files |= {path for path in product(".py") if takes_file_lock(read(path))}
    files |= {path for path in product(".sql") if ROW_LOCKS.search(read(path))}
    assert len(files) > 70
    assert sorted(files - named()) == []


def test_every_lock_says_what_it_guards():
    found = [(path, line) for path in product(".py") for line in uncommented(read(path))]
    assert found == []
