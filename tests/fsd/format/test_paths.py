"""The rules for paths and identifiers, and the search for names that cannot stand side by side."""

import itertools
import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsd.format.paths import (
    check_identifier,
    check_relative_path,
    decode_path,
    encode_path,
    find_collisions,
    fold_path,
    surely_no_collision,
)

HOSTILE = "aA\u00e9\u0301eE\u00df\u212akK\ud800\udcc3\udca9\udcff/.\\\n\0_ "


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "a/b.jpg",
        "...",
        ".hidden/..x/x..",
        "back\\slash/new\nline",
        "sub/_SEALED",
        "sub/_JOB.json",
        "_SEALED.txt",
        "\udcff.jpg",
        "日本語/ファイル",
        "x" * 255,
        "é" * 127,
        "/".join(["x" * 199] * 20),
    ],
)
def test_allowed_paths(path: str) -> None:
    assert check_relative_path(path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/", "absolute"),
        ("/etc/passwd", "absolute"),
        ("//a", "absolute"),
        ("..", "'..'"),
        ("a/../b", "'..'"),
        ("a/..", "'..'"),
        ("./a", "'.'"),
        ("a/.", "'.'"),
        ("a//b", "empty component"),
        ("a/", "empty component"),
        ("a\0b", "NUL"),
        ("_JOB.json", "reserved"),
        ("_SEALED", "reserved"),
        ("_sealed/x", "reserved"),
        ("x" * 256, "256 bytes"),
        ("a/" + "é" * 128, "256 bytes"),
        ("/".join(["x" * 199] * 20) + "/y", "4001 bytes"),
        ("\ud800", "no byte"),
        ("\udc41", "no byte"),
        ("\udcc3\udca9", "valid UTF-8"),
    ],
)
def test_refused_paths(path: str, reason: str) -> None:
    assert reason in (check_relative_path(path) or "accepted")


@given(st.text(HOSTILE, max_size=12) | st.text(max_size=30))
def test_what_is_allowed_stays_below_the_target(path: str) -> None:
    if check_relative_path(path) is not None:
        return
    assert os.path.normpath(path) == path
    assert not os.path.isabs(path)
    assert path.split("/")[0] != ".."
    assert decode_path(encode_path(path)) == path
    assert os.fsencode(path) == encode_path(path)


@given(st.binary(min_size=1, max_size=40))
def test_every_name_linux_can_hold_is_allowed(name: bytes) -> None:
    name = name.replace(b"/", b"_").replace(b"\0", b"_")
    expected_refusal = name in (b".", b"..")
    assert (check_relative_path(os.fsdecode(name)) is not None) == expected_refusal


@pytest.mark.parametrize(
    "text", ["a", "Batch 7_x-1.2", "日本", "e\u0301te", "ß", "x" * 200, "a..b"]
)
def test_allowed_identifiers(text: str) -> None:
    assert check_identifier(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            ".",
            "..",
            ".tmp",
            ".x",
            "a/b",
            "a\0",
            "a\n",
            "x" * 201,
            "é" * 101,
            "a,b",
            " a",
            "a ",
        ],
        *["~", "_SEALED", "_job.json", "\udcff", "\u200b", "\u202e", "*", "a:b", "a\\b"],
    ],
)
def test_refused_identifiers(text: str) -> None:
    assert check_identifier(text) is not None


@given(st.text(max_size=20))
def test_identifiers_are_paths_of_one_component(text: str) -> None:
    if check_identifier(text) is None:
        assert check_relative_path(text) is None
        assert "/" not in text


def test_duplicates_are_found_even_behind_another_spelling() -> None:
    found = list(find_collisions(["a", "A", "A", "a"]))
    assert found == [("case", "a", "A"), ("duplicate", "A", "A"), ("duplicate", "a", "a")]


def test_folders_collide_too() -> None:
    assert list(find_collisions(["Cats/x", "cats/y"])) == [("case", "Cats", "cats")]
    assert list(find_collisions(["p/Cats/x", "p/cats"])) == [("case", "p/Cats", "p/cats")]
    assert list(find_collisions(["cats/y/z", "q", "Cats/y/w"])) == [
        ("case", "cats/y", "Cats/y"),
        ("case", "cats", "Cats"),
    ]


@pytest.mark.parametrize("paths", [["a/b", "a/b/c"], ["a/b/c", "a/b"]])
def test_a_path_is_a_file_or_a_folder(paths: list[str]) -> None:
    assert list(find_collisions(paths)) == [("file and folder", "a/b", "a/b")]


@pytest.mark.parametrize(
    ("one", "other"),
    [("\u00e9", "e\u0301"), ("\u00c9", "e\u0301"), ("K", "\u212a"), ("straße", "STRASSE")],
)
def test_unicode_spellings_collide(one: str, other: str) -> None:
    assert list(find_collisions([f"x/{one}", f"x/{other}"])) == [("case", f"x/{one}", f"x/{other}")]


def test_different_names_do_not_collide() -> None:
    assert list(find_collisions(["a", "b/a", "b/c/a", "ab", "\udcff", "\udcfe"])) == []


@given(
    st.lists(st.sampled_from(["a", "A", "a/b", "A/b", "a/B", "é", "e\u0301/a", "c"]), max_size=8)
)
def test_find_collisions_agrees_with_comparing_all_pairs(paths: list[str]) -> None:
    def levels(path: str) -> list[str]:
        parts = path.split("/")
        return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]

    def folded(path: str) -> str:
        return unicodedata.normalize("NFC", path.casefold())

    collide = any(
        one == other
        or (one in levels(other)[:-1] or other in levels(one)[:-1])
        or any(
            folded(x) == folded(y) and x != y
            for x, y in itertools.product(levels(one), levels(other))
        )
        for one, other in itertools.combinations(paths, 2)
    )
    assert bool(list(find_collisions(paths))) == collide
    encoded = [path.encode() for path in paths]
    # By hashes, in blocks: but for a chance of one in 2**64 it says the same.
    for cut in (0, 1, 3):
        assert surely_no_collision([encoded[:cut], encoded[cut:]]) == (not collide)


@given(st.text(max_size=20))
def test_folding_is_stable(path: str) -> None:
    assert fold_path(fold_path(path)) == fold_path(path)
