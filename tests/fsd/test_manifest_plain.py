"""Lines in our own plain form are read in bulk: what comes out is what decoding each would give."""

import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fsd import manifest
from fsd.errors import ManifestError
from fsd.manifest import ManifestEntry, parse_manifest
from fsd.paths import all_surely_fine, check_relative_path

KEY_HEX = bytes(range(32)).hex()
HOSTILE = [
    *(
        "/a",
        "a/",
        "a//b",
        "./a",
        "a/.",
        "a/..",
        "..",
        ".",
        "../a",
        "a/../b",
        "_JOB.json",
        "_sealed",
    ),
    *(
        "_SEALED/a",
        ".a",
        "_a",
        "a/_SEALED",
        "a\\b",
        'a"b',
        "a\nb",
        "a\0b",
        "\x7f",
        "é",
        "\udcff",
        "",
    ),
    *(
        "x" * 255,
        "x" * 256,
        "x/" * 127 + "y",
        "x/" * 1999 + "y",
        "x/" * 2000 + "y",
        " ",
        " a ",
        "~",
    ),
]
letters = st.text(alphabet='ab._/-\\" \n\0\x7fé', max_size=8)
paths = st.one_of(letters, st.sampled_from(HOSTILE))
sizes = st.one_of(
    st.none(), st.sampled_from([0, 1, -1, 2**63 - 1, 2**63, 10**17, 10**18, 1.5, True])
)
nodes = st.one_of(sizes, st.sampled_from([-(2**63), -(2**63) - 1, "seven", ""]))
keys = st.one_of(
    st.just(KEY_HEX), st.sampled_from([KEY_HEX.upper(), KEY_HEX[:-1], "g" * 64, "", 7])
)
documents = st.fixed_dictionaries(
    {"path": paths, "key": keys}, optional={"size_bytes": sizes, "node_id": nodes}
)


def outcome(lines: list[bytes]) -> Any:
    try:
        return parse_manifest(lines)
    except ManifestError as error:
        return error.problems, error.problem_count


@given(st.lists(documents, max_size=6))
@example([{"path": "a", "key": KEY_HEX}, {"path": "A", "key": KEY_HEX}])
@example([{"path": "a", "key": KEY_HEX, "size_bytes": 2**63}])
def test_bulk_and_decoder_agree(listed: list[dict[str, Any]]):
    plain = [json.dumps(document).encode() + b"\n" for document in listed]
    compact = [json.dumps(d, separators=(",", ":")).encode() + b"\n" for d in listed]
    # With the path at the end a line is not in the plain form.
    turned = [json.dumps(dict(reversed(document.items()))).encode() + b"\n" for document in listed]
    assert outcome(plain) == outcome(compact) == outcome(turned)


@given(st.lists(st.text(alphabet="ab._/- ~", min_size=1, max_size=12), max_size=5))
def test_what_is_surely_fine_passes_every_check(listed: list[str]):
    reasons = [check_relative_path(path) for path in listed]
    if all_surely_fine(listed):
        assert not any(reasons)
    for path in listed:
        # And what is ordinary is taken: no path is looked at closely without a need.
        ordinary = path[0] not in "._/" and path[-1] != "/" and "//" not in path
        assert all_surely_fine([path]) == (ordinary and "/." not in path)


def plain_line(path: str) -> bytes:
    return f'{{"path":"{path}","key":"{KEY_HEX}"}}\n'.encode()


@pytest.mark.parametrize(
    "lines",
    [
        [plain_line("a") + plain_line("b"), b"\n"],
        [b"x\n" + plain_line("a")],
        [plain_line("a").rstrip() + plain_line("b")],
        [plain_line("a"), b"[]\n"],
    ],
)
def test_lines_that_only_look_plain_are_refused(lines: list[bytes]):
    with pytest.raises(ManifestError):
        parse_manifest(lines)


def test_numbers_of_lines_count_through_blocks_of_every_kind(monkeypatch):
    monkeypatch.setattr(manifest, "_BLOCK_LINES", 4)
    lines = [plain_line(f"f{number}") for number in range(20)]
    lines[6] = b"\n"
    lines[9] = plain_line("../up")
    lines[13] = plain_line("f1")
    lines[17] = plain_line("f2").rstrip() + b"\r\n"
    problems = outcome(lines)[0]
    assert problems == [
        "line 10: the path has a '..' component: '../up'",
        "line 14: the path is given twice: 'f1'",
        "line 18: the path is given twice: 'f2'",
    ]


def test_a_big_manifest_in_any_order_keeps_its_entries():
    numbers = list(range(9000))
    random.Random(2).shuffle(numbers)
    lines = [plain_line(f"d{number % 7}/f{number}") for number in numbers]
    lines[-1] = lines[-1].rstrip()  # The last line may lack its newline.
    expected = tuple(ManifestEntry(f"d{n % 7}/f{n}", bytes.fromhex(KEY_HEX)) for n in numbers)
    assert parse_manifest(lines).entries == expected
