"""Style is a test too: what ruff, basedpyright and import-linter cannot say about our files.

Docstrings on public names are ruff's (D1). The direction of imports is import-linter's; here it is
only proven that the contracts made for it catch what they should.
"""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tokenize

import import_contracts
import pytest

ROOT = import_contracts.ROOT
FOLDERS = [name for layer in import_contracts.LAYERS for name in layer]
OURS = (*FOLDERS, "tests", "bench")

FILE_LINES_MAX = 500

# Names that say nothing about what a file owns.
BANNED_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "manager.py", "misc.py"}

# Folders inside our folders that have a face of their own for others.
SUB_FACES = {"adapters.actions"}

LINE_REFERENCE = re.compile(r"\blines? \d+\b|\.py:\d+|#L\d+", re.IGNORECASE)

# Put together here, so that this file does not contain what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:" + "|".join(["work", "farm"]) + ")/")
PACKAGE_SOURCE = re.compile(
    "|".join(["index" + "[-_]url", "find" + "[-_]links", "trusted" + "[-_]host"]), re.IGNORECASE
)


def project_files() -> list[str]:
    """Return the paths of all files that are, or could be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if listing.returncode != 0:
        pytest.skip(f"not a git checkout: {os.fsdecode(listing.stderr).strip()}")
    paths = {os.fsdecode(path) for path in listing.stdout.split(b"\0") if path}
    return sorted(path for path in paths if os.path.isfile(os.path.join(ROOT, path)))


def python_files() -> list[str]:
    return [
        path
        for path in project_files()
        if path.endswith(".py") and (path.split("/")[0] in OURS or "/" not in path)
    ]


def read(path: str) -> str:
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def test_no_two_modules_of_tests_have_one_name():
    """pytest imports them by their name alone, and stops at the second."""
    names = [os.path.basename(path) for path in python_files() if path.startswith("tests/")]
    tests = [name for name in names if name.startswith("test_")]
    assert sorted(set(tests)) == sorted(tests)


def test_files_are_short():
    # A face is three lists of names, which no reader reads from top to bottom.
    modules = [path for path in python_files() if os.path.basename(path) != "__init__.py"]
    lengths = {path: read(path).count("\n") for path in modules}
    assert {path: count for path, count in lengths.items() if count > FILE_LINES_MAX} == {}


def test_file_names_say_what_is_inside():
    assert [path for path in python_files() if os.path.basename(path) in BANNED_NAMES] == []


def test_no_references_to_line_numbers():
    found = []
    for path in project_files():
        if path.endswith(".md"):
            found += [(path, hit.group()) for hit in LINE_REFERENCE.finditer(read(path))]
    for path in python_files():
        source = read(path)
        if LINE_REFERENCE.search(source):  # Telling code from prose takes long.
            prose = "\n".join(comments_and_docstrings(source))
            found += [(path, hit.group()) for hit in LINE_REFERENCE.finditer(prose)]
    assert found == []


def comments_and_docstrings(source: str) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    docstrings = [text for node in nodes if (text := ast.get_docstring(node))]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return docstrings + [token.string for token in tokens if token.type == tokenize.COMMENT]


def test_nothing_knows_the_machine_it_was_written_on():
    found = []
    for path in project_files():
        if not path.startswith("samples/"):
            text = read(path)
            found += [(path, hit.group()) for hit in MACHINE_PATH.finditer(text)]
            found += [(path, hit.group()) for hit in PACKAGE_SOURCE.finditer(text)]
    assert found == []


def beyond_faces(source: str, folder: str) -> list[str]:
    """Return the imports in source, a file of folder, that reach behind another folder's face."""
    modules = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from fsd import record` fetches a module where there is one of that name.
            modules += [
                f"{node.module}.{alias.name}"
                if os.path.exists(os.path.join(ROOT, *node.module.split("."), alias.name + ".py"))
                else node.module
                for alias in node.names
            ]
    return [
        module
        for module in modules
        if "." in module
        and module not in SUB_FACES
        and module.split(".")[0] in FOLDERS
        # Everybody stands on it, and its modules are small: it needs no face.
        and module.split(".")[0] != "base"
        and module.split(".")[0] != folder
    ]


def test_only_faces_of_other_folders_are_imported():
    found = {}
    for path in python_files():
        folder = path.split("/")[0]
        if folder not in ("tests", "bench") and (hits := beyond_faces(read(path), folder)):
            found[path] = hits
    assert found == {}


@pytest.mark.parametrize(
    ("line", "hits"),
    [
        ("import fsd", []),
        ("from fsd import Client", []),
        ("from base.descriptors import wait_readable", []),
        ("import fsd.format.record", ["fsd.format.record"]),
        ("from fsd.format.record import Record", ["fsd.format.record"]),
        ("from .record import Record", []),
        ("from jobs.runner import Runner", []),
        ("from fsdlike.record import Record", []),
    ],
)
def test_the_face_check_sees(line: str, hits: list[str]):
    assert beyond_faces(line, folder="jobs") == hits


def make_folders(root: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)


@pytest.mark.parametrize(
    ("files", "broken"),
    [
        ({"fsd/__init__.py": "import lmdb", "adapters/__init__.py": "import fsd"}, []),
        ({"fsd/__init__.py": "import sql", "sql/__init__.py": ""}, ["imports run one way"]),
        ({"fsd/__init__.py": "import psycopg"}, ["psycopg only in sql"]),
        (
            {"fsd/__init__.py": "", "jobs/__init__.py": "import fsd\nimport lmdb"},
            ["lmdb only in fsd", "jobs never imports fsd"],
        ),
        ({"jobs/__init__.py": "import gui", "gui/__init__.py": ""}, ["imports run one way"]),
    ],
)
def test_the_contracts_catch(tmp_path, files: dict[str, str], broken: list[str]):
    make_folders(str(tmp_path), files)
    code = "import import_contracts, sys; sys.exit(import_contracts.lint(sys.argv[1]))"
    # A process of its own: import-linter puts folders on sys.path and remembers modules.
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=os.path.join(ROOT, "tests"),
        capture_output=True,
        text=True,
    )
    verdicts = re.findall(r"^(.+?) BROKEN$", result.stdout, re.MULTILINE)
    assert verdicts == broken, result.stdout + result.stderr
    assert result.returncode == (1 if broken else 0)
