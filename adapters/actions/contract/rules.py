"""The rules between the fields of a contract: it owns what each type of action may and must say.

Every function yields (key path, what would be right). Pure, but for one look at whether the
program is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from pydantic import ValidationError

from adapters.actions.contract.contract import ActionContract, Output, RunSpec, Tagging
from adapters.actions.contract.contract_templates import template_rules
from adapters.actions.contract.parameters import checked_value
from adapters.actions.contract.templates import PLACE
from base.documents import Path
from base.mistakes import suggestion
from fsd import check_relative_path
from sql import Column, DeclaredTable

Rule = tuple[Path, str]

_PROGRAM_KINDS = ("AC2", "AC3", "AC4")
_FILE_FIELDS = frozenset({"path", "name", "stem"})
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_FITTING = {
    bool: ("boolean",),
    int: ("bigint", "integer", "double precision"),
    float: ("double precision",),
    str: ("text", "timestamptz", "date"),
}
COMMENT_LENGTH_MAX = 500


def broken_rules(contract: ActionContract, folder: str | None = None) -> list[Rule]:
    """Return every rule that a contract breaks; `folder` is where its program should be."""
    return [
        *_kind(contract),
        *_gates(contract),
        *_parameters(contract),
        *_run(contract, folder),
        *_pins(contract),
        *_outputs(contract),
        *_results(contract),
        *_tagging(contract),
        *template_rules(contract),
    ]


# ---- What a type may and must have ---------------------------------------------------------------


def _kind(contract: ActionContract) -> Iterator[Rule]:
    kind = contract.type
    has = {
        name: getattr(contract, name) is not None
        for name in (
            "stage_layout", "run_spec", "output_parser", "label_task", "tagging", "grouping",
            "model_sha256", "pins",
        )
    }  # fmt: skip
    for name, kinds in _ALLOWED.items():
        if has[name] and kind not in kinds:
            yield (name,), f"is for {' and '.join(kinds)}; an {kind} {_MEANING[kind]}"
    for name, kinds in _NEEDED.items():
        if not has[name] and kind in kinds:
            yield (name,), f"is missing: an {kind} {_MEANING[kind]}"
    if kind == "AC1" and has["tagging"] == has["grouping"]:
        yield ("tagging",), "an AC1 has exactly one of `tagging` and `grouping`"
    if has["model_sha256"] and contract.pins is not None:
        yield ("pins",), "stands in the place of `model_sha256`: give one of the two"
    if kind == "AC3" and not has["model_sha256"] and contract.pins is None:
        yield (
            ("model_sha256",),
            f"is missing: an AC3 {_MEANING[kind]}; without one model file write `pins` instead",
        )
    if kind != "AC4" and contract.parameters:
        yield (
            ("parameters",),
            f"an {kind} takes no parameters (its outcome is fixed by its version); make it an AC4",
        )
    children = [output for output in _outputs_of(contract) if output.child]
    if kind == "AC4" and not children:
        yield ("output_parser",), "an AC4 makes children: give at least one output a `child`"


_MEANING = {
    "AC1": "is SQL only and stages and runs nothing",
    "AC2": "runs a program on staged inputs",
    "AC3": "runs a pinned model on staged inputs",
    "AC4": "runs a program on staged inputs",
    "AC5": "is answered by people",
}
_ALLOWED = {
    "stage_layout": ("AC2", "AC3", "AC4", "AC5"),
    "run_spec": _PROGRAM_KINDS,
    "output_parser": ("AC2", "AC3", "AC4", "AC5"),
    "label_task": ("AC5",),
    "tagging": ("AC1",),
    "grouping": ("AC1",),
    "model_sha256": ("AC3", "AC4"),
    "pins": ("AC3", "AC4"),
}
_NEEDED = {
    "stage_layout": _PROGRAM_KINDS,
    "run_spec": _PROGRAM_KINDS,
    "output_parser": _PROGRAM_KINDS,
    "label_task": ("AC5",),
}


def _gates(contract: ActionContract) -> Iterator[Rule]:
    spec = contract.run_spec
    if spec is None:
        return
    on_gpu = spec.gpu or spec.queue == "gpu"
    place: Path = ("run_spec", "gate")
    if contract.type == "AC2" and on_gpu:
        yield ("run_spec", "gpu"), "an AC2 runs on a CPU; with a GPU it is an AC3 or AC4"
    if spec.gate != "none":
        return
    if contract.type == "AC3":
        yield place, "an AC3 waits for its machine: write gate: gpu_ready, or approval"
    elif contract.type == "AC4" and on_gpu:
        yield place, "it declares a GPU, so it waits for one: write gate: gpu_ready, or approval"


def _parameters(contract: ActionContract) -> Iterator[Rule]:
    for name, parameter in contract.parameters.items():
        place: Path = ("parameters", name)
        for key in ("min", "max"):
            if getattr(parameter, key) is not None and parameter.type not in ("integer", "float"):
                yield (*place, key), f"belongs to numbers, and {name} is a {parameter.type}"
        least, most = parameter.min, parameter.max
        if least is not None and most is not None and least > most:
            yield (*place, "min"), f"is greater than max ({most:g})"
        free = parameter.model_copy(update={"one_of": None})
        for number, choice in enumerate(parameter.one_of or ()):
            try:
                checked_value(free, choice)
            except ValueError as error:
                yield (*place, "one_of", number), str(error)
        if parameter.default is not None:
            try:
                checked_value(parameter, parameter.default)
            except ValueError as error:
                yield (*place, "default"), str(error)


# ---- Run -----------------------------------------------------------------------------------------


def _run(contract: ActionContract, folder: str | None) -> Iterator[Rule]:
    spec = contract.run_spec
    if spec is None:
        return
    both = sorted(set(spec.success_codes) & set(spec.partial_codes))
    if both:
        yield ("run_spec", "partial_codes"), f"{both[0]} is in success_codes too"
    for key in ("success_codes", "partial_codes"):
        if any(not 0 <= code <= 255 for code in getattr(spec, key)):
            yield ("run_spec", key), "exit codes go from 0 to 255"
    for key, names in (("allow", spec.environment.allow), ("set", spec.environment.set)):
        for name in names:
            if not _ENVIRONMENT_NAME.fullmatch(name):
                yield ("run_spec", "environment", key), f"{name!a} is no name of a variable"
    for name in set(spec.environment.allow) & set(spec.environment.set):
        yield ("run_spec", "environment", "allow"), f"{name} is in `set` too; one of the two counts"
    for name in sorted(set(spec.environment.set) & set(PLACE.values())):
        yield ("run_spec", "environment", "set", name), "is given to every program already"
    yield from _program(spec, folder)


def _pins(contract: ActionContract) -> Iterator[Rule]:
    pins, spec = contract.pins, contract.run_spec
    if pins is None:
        return
    if pins.image is None and not pins.files:
        yield ("pins",), "is empty: name the digest of the `image`, or `files` with their sha256"
    image = spec.image if spec else None
    if pins.image is not None and not (image or "").endswith("@" + pins.image):
        yield ("pins", "image"), f"run_spec.image ends with its digest: write NAME@{pins.image}"


def _program(spec: RunSpec, folder: str | None) -> Iterator[Rule]:
    program = spec.command[0]
    if spec.runner != "python":
        return
    reason = check_relative_path(program)
    if reason or "{" in program:
        yield (
            ("run_spec", "command", 0),
            f"names a file beside the contract, such as worker.py ({reason or 'no template'})",
        )
    elif folder is not None and not os.path.isfile(os.path.join(folder, program)):
        yield ("run_spec", "command", 0), f"there is no file {program!a} beside the contract"


# ---- Outputs and results -------------------------------------------------------------------------


def _outputs_of(contract: ActionContract) -> tuple[Output, ...]:
    return contract.output_parser.outputs if contract.output_parser else ()


def _outputs(contract: ActionContract) -> Iterator[Rule]:
    names: set[str] = set()
    trees: dict[str, bool] = {}
    for number, output in enumerate(_outputs_of(contract)):
        place: Path = ("output_parser", "outputs", number)
        if output.name in names:
            yield (*place, "name"), f"{output.name} is the name of another output too"
        names.add(output.name)
        yield from _safe_glob((*place, "glob"), output.glob)
        if output.class_names is not None:
            yield from _safe_glob((*place, "class_names"), output.class_names)
        yield from _format_fits(place, output)
        yield from _fields_known(place, output)
        yield from _child(contract, place, output)
        if output.child:
            before = trees.setdefault(output.child.relationship, output.child.forms_tree)
            if before != output.child.forms_tree:
                yield (*place, "child", "forms_tree"), "another output says the opposite"
    ignored = contract.output_parser.ignore if contract.output_parser else ()
    for number, glob in enumerate(ignored):
        yield from _safe_glob(("output_parser", "ignore", number), glob)


def _safe_glob(place: Path, glob: str) -> Iterator[Rule]:
    if reason := check_relative_path(glob):
        yield place, f"is relative to the output folder: {reason}"
    elif any("**" in part and part != "**" for part in glob.split("/")):
        yield place, "** stands alone between slashes: a/**/*.json"


def _format_fits(place: Path, output: Output) -> Iterator[Rule]:
    if output.records is not None and output.format != "json":
        yield (*place, "records"), f"belongs to json, and this is {output.format}"
    if output.class_names is not None and output.format != "yolo":
        yield (*place, "class_names"), f"belongs to yolo, and this is {output.format}"
    if output.child_path is not None:
        if output.child is None:
            yield (*place, "child_path"), "belongs to a `child`"
        if output.format in ("file", "file_name"):
            yield (*place, "child_path"), f"belongs to records, and this is {output.format}"
    if not output.results and output.child is None and output.format != "file_name":
        yield place, "becomes nothing: give it `results` or a `child`"


def _fields_known(place: Path, output: Output) -> Iterator[Rule]:
    groups: set[str] = set()
    if output.regex is not None:
        try:
            groups = set(re.compile(output.regex).groupindex)
        except (re.error, OverflowError, RecursionError) as error:
            yield (*place, "regex"), f"is no regular expression: {error}"
            return
    if output.format not in ("file", "file_name"):
        return  # Their records have more fields than we can know.
    known = groups | _FILE_FIELDS
    used: list[tuple[Path, str]] = [((*place, "input", "field"), output.input.field)]
    used += [((*place, "results", column), name) for column, name in output.results.items()]
    if output.child and output.child.position is not None:
        used.append(((*place, "child", "position"), output.child.position))
    for where, name in used:
        if name not in known:
            yield where, f"there is no group or field {name!a}" + suggestion(name, known)


def _child(contract: ActionContract, place: Path, output: Output) -> Iterator[Rule]:
    child = output.child
    if child is None:
        return
    if output.format == "file_name":
        yield (*place, "child"), "of a file_name output no bytes are kept; use format: file"
    if contract.type == "AC5" and not child.attachment:
        yield (
            (*place, "child", "attachment"),
            "people's annotations stay beside the input: write attachment: true",
        )
    if child.attachment and child.is_root:
        yield (*place, "child", "is_root"), "an attachment is never a sample: write false"
    records = output.format not in ("file", "file_name")
    if records and output.child_path is None and not child.attachment:
        yield (
            (*place, "child"),
            f"a record of {output.format} names its file: write child_path, the field with it",
        )


def _results(contract: ActionContract) -> Iterator[Rule]:
    columns = contract.result_schema
    filled: set[str] = set()
    for number, output in enumerate(_outputs_of(contract)):
        filled |= set(output.results)
        for column in output.results:
            if column not in columns:
                place: Path = ("output_parser", "outputs", number, "results", column)
                yield place, "is no column of result_schema" + suggestion(column, columns)
    if contract.type in _PROGRAM_KINDS:
        for column in columns:
            if column not in filled:
                yield ("result_schema", column), "no output fills it: name it in `results`"
    # Each alone, so that a mistake has its place.
    for column, said in columns.items():
        try:
            Column(name=column, type=said.type, comment=said.description)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            yield ("result_schema", column), reason


def result_table(contract: ActionContract) -> DeclaredTable | None:
    """Return the declared table of the results, or None for an action that has none."""
    if not contract.result_schema:
        return None
    return DeclaredTable(
        kind="action",
        name=contract.name,
        version=contract.version,
        comment=contract.description[:COMMENT_LENGTH_MAX],
        columns=tuple(
            Column(name=name, type=column.type, comment=column.description)
            for name, column in contract.result_schema.items()
        ),
    )


def _tagging(contract: ActionContract) -> Iterator[Rule]:
    if contract.tagging is None:
        return
    columns, tagging = contract.result_schema, contract.tagging
    for place, name, value in _tags(tagging):
        column = columns.get(name)
        if column is None:
            yield place[:3], "is no column of result_schema" + suggestion(name, columns)
        elif column.type not in _FITTING[type(value)]:
            yield place, f"is {value!a}, and the column is {column.type}"
    for name in set(tagging.values) & set(tagging.computed):
        yield ("tagging", "computed", name), "is in `values` too; one of the two counts"
    for name in set(columns) - set(tagging.values) - set(tagging.computed):
        yield ("result_schema", name), "tagging gives it no value: name it in `values`"
    if not tagging.values and not tagging.computed:
        yield ("tagging", "values"), "is empty; a tag has at least one value"


def _tags(tagging: Tagging) -> Iterator[tuple[Path, str, str | int | float | bool]]:
    """Yield every value that a tag may give: where it stands, and its column."""
    for name, value in tagging.values.items():
        yield ("tagging", "values", name), name, value
    for name, computed in tagging.computed.items():
        place: Path = ("tagging", "computed", name)
        for number, case in enumerate(computed.cases):
            yield (*place, "cases", number, "then"), name, case.then
        if computed.otherwise is not None:
            yield (*place, "otherwise"), name, computed.otherwise
