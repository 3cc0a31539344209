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
from collections.abc import Iterator

import import_contracts
import networkx
import pytest
import warm_start

ROOT = import_contracts.ROOT
FOLDERS = [name for layer in import_contracts.LAYERS for name in layer]
OURS = (*FOLDERS, "tests", "bench")

FILE_LINES_MAX = 500
PRIVATE_NAMES_MAX = 103
PUBLIC_ALL_THE_SAME = {"_replace", "_asdict", "_make", "_fields", "_exit"}
"""Of named tuples and os."""

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


def test_what_starts_warm_is_where_it_is_looked_for():
    names = {name for needed in warm_start.MODULES.values() for name in needed}
    ours = {name for name in names if os.path.isdir(os.path.join(ROOT, name.partition(".")[0]))}
    paths = {name: os.path.join(ROOT, *name.split(".")) for name in ours}
    missing = {
        name
        for name, path in paths.items()
        if not (os.path.isfile(f"{path}.py") or os.path.isfile(os.path.join(path, "__init__.py")))
    }
    assert ours and not missing, f"warm_start.MODULES names what is elsewhere: {sorted(missing)}"


def test_files_are_short():
    # A face is three lists of names, which no reader reads from top to bottom.
    modules = [path for path in python_files() if os.path.basename(path) != "__init__.py"]
    lengths = {path: read(path).count("\n") for path in modules}
    assert {path: count for path, count in lengths.items() if count > FILE_LINES_MAX} == {}


def test_file_names_say_what_is_inside():
    assert [path for path in python_files() if os.path.basename(path) in BANNED_NAMES] == []


def test_tests_reach_into_few_private_names():
    """What a test needs is public, or passed in: a clock, a way to send. Never more than now."""
    found = [hit for path in python_files() if path.startswith("tests/") for hit in private(path)]
    assert len(found) <= PRIVATE_NAMES_MAX, found


def private(path: str) -> Iterator[str]:
    """Yield the names of our code with an underscore in front that a test takes hold of."""
    for node in ast.walk(ast.parse(read(path))):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            names = [] if is_own else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            is_ours = (node.module or "").split(".")[0] in FOLDERS
            names = [one.name for one in node.names] if is_ours else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr"):
            names = [str(one.value) for one in node.args[1:2] if isinstance(one, ast.Constant)]
        for name in names:
            if (
                name.startswith("_")
                and not name.startswith("__")
                and name not in PUBLIC_ALL_THE_SAME
            ):
                yield f"{path}: {name}"


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
        ("from base.processes.descriptors import wait_readable", []),
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


def modules_below(root: str) -> dict[str, str]:
    """Return the modules of our folders below root, and their paths."""
    found: dict[str, str] = {}
    for folder in import_contracts.existing_folders(root):
        for place, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith(".py"):
                    path = os.path.join(place, name)
                    dotted = os.path.relpath(path, root)[: -len(".py")].replace(os.sep, ".")
                    found[dotted.removesuffix(".__init__")] = path
    return found


def imports_of(path: str, modules: dict[str, str]) -> Iterator[str]:
    """Yield the modules of ours that a file imports, within functions and type checks too."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            for alias in node.names:
                for name in (f"{node.module}.{alias.name}", node.module or ""):
                    if name in modules:
                        yield name
                        break


def cycles(root: str) -> list[list[str]]:
    """Return the groups of modules that import one another."""
    modules = modules_below(root)
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for name, path in modules.items():
        graph.add_edges_from((name, other) for other in imports_of(path, modules) if other != name)
    groups = networkx.strongly_connected_components(graph)
    return sorted(sorted(group) for group in groups if len(group) > 1)


def test_there_is_no_import_cycle():
    assert cycles(ROOT) == []


def test_a_cycle_of_types_is_found(tmp_path):
    for folder in ("base", "fsd"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "base" / "low.py").write_text("")
    (tmp_path / "fsd" / "one.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from base.low import nothing\n"
        "if TYPE_CHECKING:\n    from fsd import three\n"
    )
    (tmp_path / "fsd" / "two.py").write_text("import fsd.one\n")
    (tmp_path / "fsd" / "three.py").write_text("def late():\n    from fsd.two import thing\n")
    assert cycles(str(tmp_path)) == [["fsd.one", "fsd.three", "fsd.two"]]
