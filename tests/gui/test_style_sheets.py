"""Our style sheets beside the framework's: no class means two things, and none means nothing."""

from __future__ import annotations

import glob
import os
import re
from importlib import util

import gui

FOLDER = os.path.dirname(gui.__file__)
SHARED = {"row"}
"""A line of things in both; the sheets were written for its being so."""
_OURS_TO_CHANGE = re.compile(r"(?:q-|nicegui-|body--|bg-|text-)")
_BOXED = re.compile(r'\b(?:box|classes)\("([a-z0-9 -]+)"')


def classes(sheets: str) -> set[str]:
    """Return the classes that selectors of style sheets name."""
    found: set[str] = set()
    for path in glob.glob(sheets, recursive=True):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
        for selector in re.findall(r"([^{}]+)\{", text):
            found.update(re.findall(r"\.([A-Za-z_][\w-]*)", selector))
    return found


def test_no_class_of_ours_means_something_else_to_the_framework():
    known = util.find_spec("nicegui")
    assert known is not None and known.origin is not None
    theirs = classes(os.path.join(os.path.dirname(known.origin), "static", "**", "*.css"))
    assert {"column", "q-notifications__list"} <= theirs
    ours = classes(os.path.join(FOLDER, "static", "*.css"))
    assert {one for one in ours & theirs if not _OURS_TO_CHANGE.match(one)} == SHARED


def test_every_class_of_a_box_is_in_a_sheet_or_a_script():
    known = classes(os.path.join(FOLDER, "static", "*.css"))
    scripts = ""
    for path in glob.glob(os.path.join(FOLDER, "static", "*.js")):
        with open(path, encoding="utf-8") as file:
            scripts += file.read()
    used: dict[str, str] = {}
    for path in glob.glob(os.path.join(FOLDER, "**", "*.py"), recursive=True):
        with open(path, encoding="utf-8") as file:
            for names in _BOXED.findall(file.read()):
                used |= dict.fromkeys(names.split(), os.path.relpath(path, FOLDER))
    assert len(used) > 50
    assert {name: path for name, path in used.items()
            if name not in known and not re.search(rf"[.\"']{name}\b", scripts)} == {}  # fmt: skip
