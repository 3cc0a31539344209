"""Contracts are read with the place of every mistake, and nothing makes them fall over."""

from __future__ import annotations

import json
from pathlib import Path

import action_contracts
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.actions import ActionContract, load_contract
from adapters.actions.contract.check import canonical_json, check_contract
from adapters.records.errors import ContractError
from base.errors import UsageError

MODEL = "0" * 64


def told(text: str | bytes, folder: str | None = None) -> list[str]:
    return [str(problem) for problem in check_contract(text, folder)]


def changed(kind: str, *pairs: tuple[str, str]) -> str:
    text = action_contracts.ALL[kind]
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize("kind", sorted(action_contracts.ALL))
def test_right_contracts_are_taken(kind: str, tmp_path: Path):
    assert told(action_contracts.ALL[kind]) == []
    path = tmp_path / "contract.yaml"
    path.write_text(action_contracts.ALL[kind])
    loaded = load_contract(str(tmp_path))
    assert (loaded.contract.type, loaded.path) == (kind, str(path))
    assert loaded.folder == str(tmp_path)
    # What is registered can be read again, and is the same.
    again = ActionContract.model_validate_json(canonical_json(loaded.contract))
    assert again == loaded.contract


def test_the_digest_is_of_the_meaning_not_of_the_text(tmp_path: Path):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(action_contracts.AC1)
    two.write_text("# a remark\n" + json.dumps(yaml.safe_load(action_contracts.AC1)))
    assert load_contract(str(one)).digest == load_contract(str(two)).digest
    two.write_text(changed("AC1", ("stars: 5", "stars: 4")))
    assert load_contract(str(one)).digest != load_contract(str(two)).digest


# What is changed in a right contract, and what is said of it.
MISTAKES = [
    # Fields.
    ("AC2", [("type: AC2", "type: AC9")], "line 3, type: is 'AC9'; it is one of AC1, AC2"),
    ("AC2", [("run_spec:", "run_specs:")], "run_specs: unknown key; did you mean run_spec?"),
    ("AC2", [("description: Meas", "descripton: Meas")], "descripton: unknown key; did you mean"),
    ("AC2", [("name: measure", "name: Measure")], "line 2, name: is 'Measure'; it must be of"),
    ("AC2", [("version: 1\n", "version: 0\n")], "line 4, version: should be greater than or equal"),
    ("AC2", [("action_id: 501\n", "")], "action_id: is missing"),
    ("AC4", [("side: parent", "sid: parent")], "of.sid: unknown key; did you mean side?"),
    ("AC4", [("side: parent", "side: uncle")], "of.side: is 'uncle'; it is one of parent, child"),
    ("AC4", [('line: "{file', 'lin: "{file')], "listings[0].lin: unknown key; did you mean line?"),
    (
        "AC2",
        [("media_type: image", "media_tipe: image")],
        "line 6, input_selector.where.media_tipe",
    ),
    ("AC2", [("version: 1, where", "where")], "line 6, input_selector.version: is missing"),
    ("AC2", [("format: csv", "format: txt")], "a txt listing has a `line` and no `columns`"),
    # Types of actions.
    (
        "AC1",
        [("type: AC1", "type: AC1\nrun_spec: {runner: shell, command: [ls]}")],
        "run_spec: is for",
    ),
    (
        "AC1",
        [("type: AC1", 'type: AC1\nstage_layout: {layout_id: a, files: [{path: "{node.key}"}]}')],
        "stage_layout: is for AC2 and AC3 and AC4 and AC5; an AC1 is SQL only",
    ),
    ("AC1", [("tagging: {values: {stars: 5, why: by hand}}", "")], "exactly one of `tagging` and"),
    (
        "AC1",
        [("type: AC1", "type: AC1\ngrouping: {action: measure, column: width}")],
        "exactly one",
    ),
    (
        "AC1",
        [("stars: 5", "stars: five")],
        "tagging.values.stars: is 'five', and the column is integer",
    ),
    (
        "AC1",
        [
            (
                "values: {stars: 5, ",
                "computed: {stars: {cases: [{where: {depht: {min: 1}}, then: 1}]}}, values: {",
            )
        ],
        "line 6, tagging.computed.stars.cases[0].where.depht: unknown key; did you mean depth?",
    ),
    (
        "AC1",
        [
            (
                "values: {stars: 5, ",
                "computed: {stars: {cases: [{where: {depth: {min: 1}}, then: one}]}}, values: {",
            )
        ],
        "tagging.computed.stars.cases[0].then: is 'one', and the column is integer",
    ),
    (
        "AC1",
        [
            (
                "values: {stars: 5",
                "computed: {stares: {cases: [{where: {depth: 1}, then: 1}]}}, values: {stars: 5",
            )
        ],
        "tagging.computed.stares: is no column of result_schema; did you mean stars?",
    ),
    (
        "AC1",
        [
            (
                "values: {stars: 5",
                "computed: {stars: {cases: [{where: {depth: 1}, then: 1}]}}, values: {stars: 5",
            )
        ],
        "tagging.computed.stars: is in `values` too",
    ),
    (
        "AC1",
        [
            (
                "values: {stars: 5, ",
                "computed: {stars: {cases: [{sql: now(), then: 1}]}}, values: {",
            )
        ],
        "tagging.computed.stars.cases[0].sql: unknown key",
    ),
    ("AC2", [("type: AC2", "type: AC2\npins: {}")], "pins: is for AC3 and AC4"),
    ("AC3", [("pins: {files", "pins: {}\n#")], "pins: is empty: name the digest of the `image`"),
    ("AC3", [("type: AC3", f"type: AC3\nmodel_sha256: '{MODEL}'")], "give one of the two"),
    (
        "AC3",
        [("image: tagger@", "image: tagger@sha256:0123-")],
        "pins.image: run_spec.image ends with",
    ),
    (
        "AC3",
        [("{model.words}", "{model.word}")],
        "there is no field {model.word} here; did you mean",
    ),
    ("AC3", [("{model.words}", "{model}")], "there is no field {model} here"),
    ("AC1", [("stars: 5,", "stares: 5,")], "values.stares: is no column of result_schema; did you"),
    (
        "AC2",
        [("type: AC2", "type: AC2\nparameters: {a: {type: text}}")],
        "an AC2 takes no parameters",
    ),
    ("AC2", [("  environment:", "  gpu: true\n  environment:")], "an AC2 runs on a CPU"),
    ("AC2", [("type: AC2", "type: AC3")], "run_spec.gate: an AC3 waits for its machine"),
    ("AC2", [("type: AC2", "type: AC3")], "model_sha256: is missing"),
    ("AC2", [("type: AC2", "type: AC4")], "an AC4 makes children"),
    ("AC2", [("type: AC2", "type: AC5")], "label_task: is missing: an AC5 is answered by people"),
    ("AC4", [("gate: approval", "gpu: true")], "run_spec.gate: it declares a GPU"),
    ("AC4", [("gate: approval", "queue: gpu")], "run_spec.gate: it declares a GPU"),
    (
        "AC5",
        [("label_task: {kind: classification, classes: [cat, dog], labellers: 2}", "")],
        "label_task: is missing",
    ),
    (
        "AC5",
        [
            (
                "label_task:",
                'output_parser: {outputs: [{name: a, glob: "*.json", format: file, '
                "input: {field: stem, equals: stem}, "
                "child: {relationship: note, is_root: false}}]}\nlabel_task:",
            )
        ],
        "outputs[0].child.attachment: people's annotations",
    ),
    # Templates and paths.
    (
        "AC2",
        [("in/{node.key}", "in/{node.kez}")],
        "there is no field {node.kez} here; did you mean node.key",
    ),
    ("AC2", [("in/{node.key}", "in/{metadata.title}")], "would be the same for several nodes"),
    (
        "AC2",
        [("in/{node.key}", "../{node.key}")],
        "files[0].path: cannot be a path: the path has a '..'",
    ),
    ("AC2", [("in/{node.key}", "/in/{node.key}")], "cannot be a path: the path is absolute"),
    ("AC2", [("in/{node.key}", "in/{node.key")], "the brace at character"),
    ("AC2", [("in/{node.key}.{node.extension}", "_SEALED/{node.key}")], "is reserved"),
    ("AC2", [("list/all.csv", "list/{node.key}.csv")], "there is no field {node.key} here"),
    ("AC2", [("{index:04}", "{parameters.size}")], "there is no field {parameters.size} here"),
    ("AC2", [('"in/{node.key}.{node.extension}"', "{node.key}.jpg")], "is put into quotes"),
    ("AC2", [('"in/{node.key}.{node.extension}"', "{node.key}")], "is put into quotes"),
    ("AC2", [("{file.path}.json", "{part}.json")], "would be the same for several nodes"),
    ("AC2", [('PART: "{part}"', 'PART: "{model}"')], "there is no field {model} here"),
    ("AC2", [('PART: "{part}"', '9PART: "{part}"')], "is no name of a variable"),
    (
        "AC2",
        [("{input}/in", "{inputs}/in")],
        "run_spec.command[2]: there is no field {inputs} here; did",
    ),
    (
        "AC4",
        [("parts/{node.key}/{number}", "parts/{number}")],
        "put {child.key} or {child.node_id}",
    ),
    ("AC4", [("originals/{parent.key}", "originals/{child.key}")], "there is no field {child.key}"),
    ("AC4", [("deep\n", "deep\n  files: []\n")], "the key 'files' is there twice"),
    (
        "AC4",
        [("{index:06}_{metadata.title}", "{node.key}/pic")],
        "several inputs may have one stem",
    ),
    (
        "AC2",
        [("runner: shell", "runner: python"), ("/bin/cp", "/bin/worker.py")],
        "names a file beside",
    ),
    ("AC2", [("runner: shell", "runner: docker")], "`image` belongs to the runners docker and k8s"),
    # Outputs and results.
    (
        "AC2",
        [("results: {width: width}", "results: {widht: width}")],
        "is no column of result_schema; did",
    ),
    ("AC2", [("results: {width: width}", "")], "becomes nothing"),
    (
        "AC2",
        [
            (
                "  width: {type: integer",
                "  width: {type: integer, description: a}\n  h: {type: integer",
            )
        ],
        "result_schema.h: no output fills it",
    ),
    (
        "AC2",
        [("  width: {type", "  node_id: {type"), ("{width: width}", "{node_id: w}")],
        "result_schema.node_id: node_id is a name that every such table",
    ),
    (
        "AC2",
        [('glob: "*.json"', 'glob: "../*.json"')],
        "outputs[0].glob: is relative to the output",
    ),
    (
        "AC2",
        [('glob: "*.json"', 'glob: "/etc/*.json"')],
        "outputs[0].glob: is relative to the output",
    ),
    ("AC2", [('glob: "*.json"', 'glob: "a**/b.json"')], "** stands alone"),
    (
        "AC2",
        [("format: json\n      input", "format: jsonl\n      records: a\n      input")],
        "belongs to json",
    ),
    ("AC4", [("(?P<n>[0-9]+)", "(?P<n>[0-9]+")], "outputs[0].regex: is no regular expression"),
    ("AC4", [("position: n}", "position: m}")], "there is no group or field 'm'; known: n"),
    ("AC4", [("field: stem_of_input", "field: stem_of_inputs")], "did you mean stem_of_input?"),
    ("AC4", [("format: file\n", "format: file_name\n")], "no bytes are kept"),
    ("AC4", [("format: file\n", "format: json\n")], "write child_path"),
    # Parameters.
    (
        "AC4",
        [("default: 100", "default: 5000")],
        "parameters.size.default: is 5000; 4000 is the most",
    ),
    (
        "AC4",
        [("default: 100", "default: big")],
        "parameters.size.default: is 'big'; write a whole number",
    ),
    (
        "AC4",
        [("default: fit,", "default: fat,")],
        "parameters.mode.default: is 'fat'; it is one of fit, fill",
    ),
    ("AC4", [("min: 1,", "min: 5000,")], "parameters.size.min: is greater than max"),
]


@pytest.mark.parametrize(("kind", "pairs", "expected"), MISTAKES)
def test_a_mistake_is_told_with_its_place(kind: str, pairs: list[tuple[str, str]], expected: str):
    problems = told(changed(kind, *pairs))
    assert any(expected in problem for problem in problems), problems


def test_all_mistakes_are_told_at_once_with_their_rows():
    text = changed("AC2", ("type: AC2", "type: AC7"), ("media_type", "media_tip"), ("*.json", "x"))
    text = text.replace("width: {type: integer", "width: {type: int")
    assert [problem.line for problem in check_contract(text)] == [3, 6, 31]


def test_an_ac3_with_all_it_needs_is_taken():
    text = changed("AC2", ("type: AC2", f'type: AC3\nmodel_sha256: "{MODEL}"'), (
        "  environment: {allow: [LANG]", "  gate: gpu_ready\n  queue: gpu\n"
        "  environment: {allow: [LANG]"), ('PART: "{part}"', 'MODEL: "{model}"'))  # fmt: skip
    assert told(text) == []


def test_a_python_program_lies_beside_the_contract(tmp_path: Path):
    text = changed("AC2", ("runner: shell", "runner: python"), ("/bin/cp", "worker.py"))
    assert told(text) == []
    assert "there is no file 'worker.py' beside the contract" in told(text, str(tmp_path))[0]
    (tmp_path / "worker.py").write_text("")
    assert told(text, str(tmp_path)) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "a contract is a mapping"),
        (b"- 1", "a contract is a mapping"),
        (b"\xff\xfe", "line 1, the document: byte 0 is no UTF-8"),
        (b"name: a\nname: b", "line 2, the document: the key 'name' is there twice"),
        (b"a: &x 1\nb: *x", "aliases (*name) are not taken"),
        (b"a: !!python/object:os.system x", "tags (!name) are not taken"),
        (b"1: 2", "a key that is no text"),
        (b"a: 2024-13-45", "'2024-13-45' cannot be read"),
        (b"a: " + b"[" * 80 + b"]" * 80, "levels"),
        (b"a: [\n", "is no YAML"),
        (b"a: 1\n\tb: 2", "line 2, the document: is no YAML"),
        (b"a: b\0", "is no YAML"),
        (b"x" * 2_000_000, "has more than"),
    ],
)
def test_what_is_no_document_is_told(data: bytes, expected: str):
    problems = told(data)
    assert len(problems) == 1
    assert expected in problems[0]


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_contract(str(tmp_path / "nothing.yaml"))
    path = tmp_path / "bad.yaml"
    path.write_text(changed("AC2", ("type: AC2", "type: AC9")))
    with pytest.raises(ContractError, match=r"bad\.yaml is refused:\n  line 3, type"):
        load_contract(str(path))


DOCUMENTS = [yaml.safe_load(text) for text in action_contracts.ALL.values()]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["{", "}", "{node.key}", "../x", "/", "(?P<", "**", "a**b", "", "\0", "9" * 40]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=8), st.none(), max_size=2),
)


def places(value: object, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for step, part in inner:
        here = (*path, step)
        found += places(part, here) if isinstance(part, dict | list) else [here]
    return found


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_random_mutations_never_fall_over(data: st.DataObject):
    document = json.loads(json.dumps(data.draw(st.sampled_from(DOCUMENTS))))
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(places(document)))
        target = document
        for step in path:
            target = target[step]
        how = data.draw(st.sampled_from(["replace", "remove", "rename", "double"]))
        if how == "replace" or (isinstance(target, list) and how == "rename"):
            target[last] = data.draw(ODD)
        elif how == "remove" or not isinstance(target, dict):
            del target[last]
        elif how == "rename":
            target[data.draw(st.text(max_size=8))] = target.pop(last)
        else:
            target["again"] = target[last]
        if not document:
            break
    problems = check_contract(yaml.safe_dump(document))
    assert all(problem.line >= 1 and problem.reason for problem in problems)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_random_bytes_in_a_file_never_fall_over(data: st.DataObject):
    text = bytearray(data.draw(st.sampled_from(sorted(action_contracts.ALL.values()))).encode())
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(text) - 1))
        text[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    for problem in check_contract(bytes(text)):
        assert problem.line >= 1
        assert problem.reason.isprintable()
