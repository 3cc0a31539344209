"""Globs over output folders: what they match and what not."""

from __future__ import annotations

import pytest

from adapters.actions.outputs.match import glob_pattern


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.json", "a.json", True),
        ("*.json", "b/a.json", False),
        ("**/*.json", "a.json", True),
        ("**/*.json", "b/c/a.json", True),
        ("**/*.json", "b/c/a.jsonl", False),
        ("out/**", "out/a/b", True),
        ("out/**", "other/a", False),
        ("a?c.txt", "abc.txt", True),
        ("a?c.txt", "a/c.txt", False),
        ("a[1].txt", "a[1].txt", True),
        ("a[1].txt", "a1.txt", False),
        ("**", "a/b\nc", True),
        ("x/**/y", "x/y", True),
        ("x/**/y", "x/1/2/y", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool):
    assert bool(glob_pattern(glob).fullmatch(path)) == matches
