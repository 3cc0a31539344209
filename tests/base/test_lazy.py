"""Faces: every name is where the face says, somebody imports it, and none is loaded before."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from command import ROOT

from base.lazy import lazy_face, read_homes

FACES = ("fsd", "sql", "adapters", "datasets", "jobs", "gui", "adapters.actions", "jobs.runners")
FOLDERS = ("fsd", "sql", "adapters", "datasets", "jobs", "gui")
# What workflows and steps of one's own (`workflow_modules`) are made of.
FOR_OTHERS = {
    "jobs": {
        *("CancelledError", "LeaseLostError", "PermanentError", "SpaceError", "WaitError"),
        *("Step", "StepResult", "TaskContext", "Workflow"),
    }
}


def path_of(face: str) -> str:
    return os.path.join(ROOT, *face.split("."), "__init__.py")


def product_files() -> list[str]:
    files = [os.path.join(ROOT, "drystone.py")]
    for folder in FOLDERS:
        for place, _, names in os.walk(os.path.join(ROOT, folder)):
            files += [os.path.join(place, name) for name in names if name.endswith(".py")]
    return files


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """The names that product code and documents take from each face."""
    found: dict[str, set[str]] = {face: set() for face in FACES}
    texts = {path: Path(path).read_text(encoding="utf-8") for path in product_files()}
    for path, text in texts.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module in found:
                if path != path_of(node.module):
                    found[node.module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in found:
                found[ast.unparse(node.value)].add(node.attr)
    # The front door asks every face for these, by their names.
    asked = set(re.findall(r'face, "(\w+)"|\)\.(\w+)\(', texts[os.path.join(ROOT, "drystone.py")]))
    for folder in FOLDERS:
        found[folder] |= {name for pair in asked for name in pair}
    for path in Path(ROOT, "docs").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for face, names in re.findall(r"^from (\w+) import (.*)$", text, re.MULTILINE):
            found.get(face, set()).update(names.split(", "))
    return found


@pytest.mark.parametrize("face", FACES)
def test_every_name_is_there_and_somebody_imports_it(face: str, imported: dict[str, set[str]]):
    homes = read_homes(path_of(face))
    for name, (module, there) in homes.items():
        assert getattr(import_module(face), name) is getattr(import_module(module), there), name
    assert set(homes) - imported[face] - FOR_OTHERS.get(face, set()) == set()


def test_a_name_that_is_not_there(tmp_path):
    with pytest.raises(AttributeError, match="module fsd has no attribute nonsense"):
        import fsd

        fsd.nonsense  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from sql import nonsense")
    path = tmp_path / "__init__.py"
    path.write_text("if TYPE_CHECKING:\n    from json import dumps as written, loads\n")
    face = lazy_face("mine", str(path))
    import json

    assert face("written") is json.dumps and face("loads") is json.loads
    with pytest.raises(AttributeError, match="module mine has no attribute dumps"):
        face("dumps")


def test_a_face_loads_nothing_before_it_is_asked():
    code = f"import sys, {', '.join(FACES)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in loaded if name.partition(".")[0] in (*FOLDERS, "base")}
    assert ours == {*FACES, "base", "base.lazy"}
    assert not {"ast", "pydantic", "typer"} & set(loaded)


def test_a_late_module_is_imported_when_it_is_used():
    code = (
        "import sys, fsd.client.client as c; before = {n for n in sys.modules if 'operations' in n}"
    )
    code += (
        "; c.look.health; print(*sorted({n for n in sys.modules if 'operations' in n} - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = {name for name in loaded if name.startswith("fsd.operations.")}
    assert "fsd.operations.look" in ours and "fsd.operations.deletion" not in ours
