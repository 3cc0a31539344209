"""The manifest's bytes are the store's own, whatever the order; collisions are refused by name."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifest_bytes import format_manifest

from datasets.definition.errors import RefusedError
from datasets.freeze import manifest as manifest_module
from datasets.freeze.manifest import ManifestWriter, entries_of
from fsd.format.manifest.manifest import ManifestEntry, check_entries
from fsd.format.paths import check_relative_path, find_collisions

NAME = st.text(
    st.sampled_from("aAbBzé雨ß!-_. 0"), min_size=1, max_size=4
).filter(lambda name: check_relative_path(name) is None)  # fmt: skip
PATHS = st.lists(
    st.lists(NAME, min_size=1, max_size=3).map("/".join), unique=True, min_size=1, max_size=30
)


def written(folder, paths, texts=()) -> tuple[str, bytes]:
    writer = ManifestWriter(str(folder))
    for number, path in enumerate(paths):
        if path in texts:
            writer.add_text(path, f"text ü {number}\n", None if number % 2 else number)
        else:
            writer.add_object(path, hashlib.sha256(path.encode()).hexdigest(), number, number)
    target = str(folder / "manifest.jsonl")
    summary = writer.finish(target)
    with open(target, "rb") as file:
        data = file.read()
    assert hashlib.sha256(data).hexdigest() == summary.key
    assert summary.entries == len(paths) == len(list(entries_of(target)))
    return summary.key, data


@settings(max_examples=150)
@given(PATHS, st.integers(0, 2), st.booleans())
def test_the_bytes_are_the_stores_canonical_form(tmp_path_factory, paths, modulo, small_runs):
    texts = {path for number, path in enumerate(paths) if number % 3 == modulo}
    folder = tmp_path_factory.mktemp("manifest")
    before = manifest_module.RUN_SIZE_BYTES, manifest_module.RUNS_MAX
    if small_runs:
        manifest_module.RUN_SIZE_BYTES, manifest_module.RUNS_MAX = 200, 2
    try:
        if list(find_collisions(paths)):
            with pytest.raises(RefusedError, match="side by side"):
                written(folder, paths, texts)
            return
        _, data = written(folder, paths, texts)
    finally:
        manifest_module.RUN_SIZE_BYTES, manifest_module.RUNS_MAX = before
    entries = [
        ManifestEntry(path, None, f"text ü {number}\n", None, None if number % 2 else number)
        if path in texts
        else ManifestEntry(path, hashlib.sha256(path.encode()).digest(), None, number, number)
        for number, path in enumerate(paths)
    ]
    assert data == format_manifest(check_entries(entries).entries)


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (["a/x.png", "a/x.png"], "a/x.png: two files have this name"),
        (["a/x.png", "A/y.png"], "A/"),
        (["a/x.png", "a/X.png"], "collides with"),
        (["a", "a/x.png"], "collides with a"),
        (["../x"], "'..' component"),
        (["a\nb"], "cannot be printed"),
        (["_SEALED"], "reserved"),
    ],
)
def test_names_that_cannot_be_side_by_side(tmp_path, paths: list[str], said: str):
    with pytest.raises(RefusedError) as caught:
        written(tmp_path, paths)
    assert said in str(caught.value)
