"""Programs that misbehave: it owns their text, and what each must come to.

Every one is run as an action over six pictures, through a real worker. `input` is `$1`, `output`
is `$2`, a folder of the test that must stay as it is `$OUTSIDE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

GOOD = """
cd "$1/in"
echo file,size > "$2/sizes.csv"
for name in *.png; do echo "${name%.png},$(stat -c %s "$name")" >> "$2/sizes.csv"; done
"""


class Case(NamedTuple):
    """One program; `outcomes` are counts, `said` is part of what people read."""

    program: str
    state: str
    outcomes: dict[str, int]
    said: str = ""
    results: int = 0
    children: int = 0
    settings: Mapping[str, str] = MappingProxyType({})


CONTRACT = """
contract: 1
action_id: {number}
name: {name}
type: AC4
version: 1
description: A program that misbehaves
input_selector: {{version: 1, where: {{extension: png}}}}
stage_layout:
  layout_id: hostile
  files: [{{path: "in/{{node.node_id}}.png"}}]
run_spec:
  runner: shell
  command: [/bin/sh, "{{contract}}/program.sh", "{{input}}", "{{output}}"]
  timeout_s: {timeout}
  gate: {gate}
output_parser:
  outputs:
    - name: sizes
      glob: sizes.csv
      format: csv
      input: {{field: file, equals: stem}}
      results: {{size_bytes: size}}
    - name: named
      glob: children.jsonl
      format: jsonl
      input: {{field: file, equals: stem}}
      child_path: child
      child: {{relationship: made of, is_root: false}}
    - name: children
      glob: "*"
      regex: "(?s)(?P<file>[0-9]+)-.*"
      format: file
      input: {{field: file, equals: stem}}
      child: {{relationship: made of, is_root: false}}
result_schema:
  size_bytes: {{type: bigint, description: Size}}
"""
CASES = {
    "good": Case(GOOD, "done", {"done": 6}, results=6),
    "a path that leads out": Case(
        GOOD + 'echo "{\\"file\\": \\"1\\", \\"child\\": \\"../../../secret.txt\\"}" '
        '> "$2/children.jsonl"',
        "partial", {"done": 5, "failed": 1}, "leads out of the output folder", results=6,
    ),
    "a link that leads out": Case(
        GOOD + 'ln -s "$OUTSIDE/secret.txt" "$2/1-child.txt"; ln -s / "$2/root"',
        "done", {"done": 6}, "a symbolic link, not a file", results=6,
    ),
    "a link in the place of its output folder": Case(
        'rm -r "$2"; ln -s "$OUTSIDE" "$2"; exit 0',
        "failed", {"failed": 6}, "replaced by a symbolic link",
    ),
    "a link in the place of its output folder, again and again": Case(
        'rm -r "$2"; ln -s "$OUTSIDE" "$2"; exit 9', "failed", {"failed": 6}, "exit code 9",
    ),
    "ten times the children and one": Case(
        GOOD + 'for n in $(seq 61); do echo $n > "$2/1-$n.txt"; done',
        "failed", {"failed": 6}, "61 children of 6 inputs",
    ),
    "children of too many bytes": Case(
        GOOD + 'head -c 400000 /dev/zero | tr "\\\\0" x > "$2/1-big.txt"',
        "failed", {"failed": 6}, "child_limits.bytes_scale",
    ),
    "half-written files": Case(
        GOOD + 'head -c 40 "$1/in/1.png" > "$2/1-half.png"; printf "file,si" > "$2/sizes.csv"',
        "partial", {"missing": 5, "failed": 1}, "a png without its end",
    ),
    "a cut record": Case(
        GOOD + 'printf "{\\"file\\": \\"1\\", \\"child\\": " > "$2/children.jsonl"',
        "done", {"done": 6}, "record 0", results=6,
    ),
    "wrong encodings": Case(
        GOOD + 'printf "\\377\\376text" > "$2/2-latin.txt"; '
        'printf "good" > "$2/2-$(printf "\\344\\374").txt"; '
        'printf "x" > "$2/$(printf "3-\\nz.txt")"',
        "partial", {"done": 5, "failed": 1}, "is no UTF-8", results=6, children=2,
    ),
    "a number that is none": Case(
        GOOD + 'sed -i "2s/,.*/,nan/; 3s/,.*/,99999999999999999999/" "$2/sizes.csv"',
        "partial", {"done": 4, "failed": 2}, "must be a whole number", results=4,
    ),
    "numbers that are none at all": Case(
        GOOD + 'sed -i "2,\\$s/,.*/,nan/" "$2/sizes.csv"',
        "failed", {"failed": 6}, "every input failed",
    ),
    "a program that hangs and ignores its end": Case(
        'trap "" TERM INT HUP; while :; do sleep 0.1; done',
        "failed", {"failed": 6}, "timeout_s", settings={"timeout": "1"},
    ),
    "a program that fills its place": Case(
        'while :; do head -c 1000000 /dev/zero >> "$2/full-$((n += 1))"; done',
        "failed", {"failed": 6}, "bytes of output",
    ),
    "a fork bomb of modest size": Case(
        "breed() { [ $1 = 0 ] || { breed $(($1 - 1)) & breed $(($1 - 1)) & }; sleep 1000; }; "
        "breed 5",
        "failed", {"failed": 6}, "timeout_s", settings={"timeout": "1"},
    ),
    "children of its own that stay behind": Case(
        GOOD + '(setsid sh -c "sleep 1000; echo late > \'$2/sizes.csv\'" &) ; exit 0',
        "done", {"done": 6}, results=6,
    ),
    "a program that removes its inputs": Case(
        GOOD + 'rm -r "$1"', "done", {"done": 6}, results=6,
    ),
    "a program that removes its inputs and fails": Case(
        'rm -r "$1"; exit 1', "failed", {"failed": 6}, "changed its inputs",
    ),
    "a program that eats its inputs and fails": Case(
        'rm "$1"/in/*1.png; exit 1', "failed", {"failed": 6}, "changed its inputs",
    ),
    "a program that removes everything around": Case(
        GOOD + 'rm -rf "$(dirname "$2")"/*', "failed", {}, "is not what was staged",
    ),
    "a pipe, a socket and a deep tree": Case(
        GOOD + 'mkfifo "$2/9-pipe.txt"; d="$2"; for n in $(seq 70); do d="$d/d"; done; '
        'mkdir -p "$d"; echo x > "$d/deep.txt"',
        "done", {"done": 6}, "a FIFO, not a file", results=6,
    ),
    "names that are not its own": Case(
        GOOD + 'echo x > "$2/.drystone-inputs.jsonl"; echo odd > "$2/nobody.bin"; '
        'mkdir "$2/_SEALED"',
        "done", {"done": 6}, "keeps for itself", results=6,
    ),
    "no output at all": Case("exit 0", "partial", {"missing": 6}, "are missing"),
}  # fmt: skip
