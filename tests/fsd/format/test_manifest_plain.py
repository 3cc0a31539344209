"""Lines in our own plain form are read in bulk: what comes out is what decoding each would give."""

import json
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fsd.format.errors import ManifestError
from fsd.format.manifest import manifest
from fsd.format.manifest.manifest import ManifestEntry, parse_manifest
from fsd.format.paths import all_surely_fine, check_relative_path

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
with_key = st.fixed_dictionaries(
    {"path": paths, "key": keys}, optional={"size_bytes": sizes, "node_id": nodes}
)
with_text = st.fixed_dictionaries(
    {"path": paths, "text": letters | st.sampled_from(["text", "key", 7, None])},
    optional={"size_bytes": sizes, "node_id": nodes},
)
plain_names = st.text(alphabet="ab", min_size=1, max_size=5)
# Mostly right, so that several kinds of line meet in one manifest that is taken.
ordinary = st.fixed_dictionaries(
    {"path": plain_names},
    optional={"size_bytes": st.integers(0, 9), "node_id": st.integers(-9, 9) | st.just("x")},
).flatmap(
    lambda some: st.sampled_from(
        [
            {"path": some["path"], "key": KEY_HEX, **some},
            {"path": some["path"], "text": "text", "node_id": some.get("node_id")},
            {"path": some["path"], "text": "\u00e9" if "size_bytes" in some else ""},
        ]
    )
)
documents = with_key | with_text | ordinary


def outcome(lines: list[bytes]) -> Any:
    try:
        parsed = parse_manifest(lines)
        return parsed.entries, parsed.size_bytes, parsed.unsized
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


@given(st.lists(ordinary, max_size=9, unique_by=lambda document: document["path"]))
def test_lines_of_several_kinds_are_read_together(listed: list[dict[str, Any]]):
    lines = [json.dumps(document).encode() + b"\n" for document in listed]
    turned = [json.dumps(dict(reversed(document.items()))).encode() + b"\n" for document in listed]
    found = outcome(lines)
    assert len(found[0]) == len(listed) and found == outcome(turned)


@given(st.lists(st.text(alphabet="ab._/- ~", min_size=1, max_size=12), max_size=5))
def test_what_is_surely_fine_passes_every_check(listed: list[str]):
    reasons = [check_relative_path(path) for path in listed]
    if all_surely_fine([path.encode() for path in listed]):
        assert not any(reasons)
    for path in listed:
        # And what is ordinary is taken: no path is looked at closely without a need.
        ordinary = path[0] not in "._/" and path[-1] != "/" and "//" not in path
        assert all_surely_fine([path.encode()]) == (ordinary and "/." not in path)


def plain_line(path: str) -> bytes:
    return f'{{"path":"{path}","key":"{KEY_HEX}"}}\n'.encode()


def number_line(number: str) -> bytes:
    return f'{{"path":"{len(number)}","key":"{KEY_HEX}","node_id":{number}}}\n'.encode()


@pytest.mark.parametrize(
    "lines",
    [
        [plain_line("a") + plain_line("b"), b"\n"],
        [b"x\n" + plain_line("a")],
        [plain_line("a").rstrip() + plain_line("b")],
        [plain_line("a"), b"[]\n"],
        # As a stream of pieces these are right: a newline has moved from one field to another.
        [b'{"path":"a","key":"%s","node_id":1"path":"b"\n' % KEY_HEX.encode(), b"\n"],
        [number_line("1,2"), number_line("")],
        [number_line("1}\\n{"), number_line("1")],
        *([number_line(number)] for number in ("", "-", "01", "1_0", "+1", "1 2", "1.0", "true")),
        *([number_line("7"), number_line(number)] for number in ("1e3", "0x1", "7,", ":7", "--7")),
        # -1 is what a size that is not known is kept as.
        *([number_line(size).replace(b"node_id", b"size_bytes")] for size in ("-1", "-7")),
        [number_line('-1,"node_id":1').replace(b"node_id", b"size_bytes", 1)],
        [number_line("7").replace(b",", b";")],
        [number_line("7").replace(b'path":', b'path"=')],
        [number_line("7").replace(b"node_id", b"node-id")],
        [plain_line("a").replace(b"key", b"kez")],
        [plain_line("a").replace(KEY_HEX[:2].encode(), b"  ")],
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
