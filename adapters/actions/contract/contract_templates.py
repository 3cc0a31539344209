"""Templates in contracts: it owns which fields may stand where, and that paths can be unique."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.actions.contract import templates
from adapters.actions.contract.contract import ActionContract, Relatives, StageLayout
from adapters.actions.contract.stage_context import texts_in
from adapters.actions.contract.templates import TemplateError, fields_of, render
from base.documents import Path
from base.mistakes import suggestion
from fsd import check_relative_path

Rule = tuple[Path, str]

_OF_NODE = frozenset({"node.key", "node.node_id", "index"})
_UNIQUE_SAID = "{node.key}, {node.node_id} or {index}"


def template_rules(contract: ActionContract) -> Iterator[Rule]:
    """Yield what is wrong with the templates of a contract."""
    parameters = frozenset(f"parameters.{name}" for name in contract.parameters)
    if contract.stage_layout is not None:
        yield from _layout(contract.stage_layout, parameters)
        yield from _names_match(contract, contract.stage_layout)
    yield from _commands(contract, parameters)


def _layout(layout: StageLayout, parameters: frozenset[str]) -> Iterator[Rule]:
    place: Path = ("stage_layout",)
    if not any(file.of == "node" for file in layout.files):
        yield (*place, "files"), "the inputs themselves are missing: one file is `of: node`"
    for number, file in enumerate(layout.files):
        where: Path = (*place, "files", number, "path")
        allowed, unique, said = templates.OF_INPUT, _OF_NODE, _UNIQUE_SAID
        if isinstance(file.of, Relatives):
            side = file.of.side
            allowed = templates.OF_PARENT_FILE if side == "parent" else templates.OF_CHILD_FILE
            unique = unique | {f"{side}.key", f"{side}.node_id"}
            said = f"{{{side}.key}} or {{{side}.node_id}}"
        yield from _path(where, file.path, allowed | parameters, unique, said)
    of_file = templates.OF_FILE | parameters
    unique = _OF_NODE | _unique_file_fields(layout)
    for number, sidecar in enumerate(layout.sidecars):
        where = (*place, "sidecars", number)
        yield from _path((*where, "path"), sidecar.path, of_file, unique, _UNIQUE_SAID)
        if (sidecar.format == "txt") != isinstance(sidecar.content, str):
            wanted = "a text" if sidecar.format == "txt" else "a mapping"
            yield (*where, "content"), f"of a {sidecar.format} sidecar is {wanted}"
        for text in texts_in(sidecar.content):
            yield from _fields((*where, "content"), text, of_file)
    of_part = templates.OF_PART | parameters
    for number, listing in enumerate(layout.listings):
        where = (*place, "listings", number)
        yield from _path((*where, "path"), listing.path, of_part, None, "")
        if listing.line is not None:
            yield from _fields((*where, "line"), listing.line, of_file)
        for name, text in listing.columns.items():
            yield from _fields((*where, "columns", name), text, of_file)
    for number, folder in enumerate(layout.empty_folders):
        yield from _path((*place, "empty_folders", number), folder, of_part, None, "")


def _unique_file_fields(layout: StageLayout) -> frozenset[str]:
    """Return the fields of `file` that differ from input to input."""
    path = next((file.path for file in layout.files if file.of == "node"), "")
    unique = {"file.path"}
    if _OF_NODE & set(_safe_fields(path.rpartition("/")[2])):
        unique |= {"file.name", "file.stem"}
    return frozenset(unique)


def _names_match(contract: ActionContract, layout: StageLayout) -> Iterator[Rule]:
    """Outputs can only name their input by a name that no other input has."""
    unique = _unique_file_fields(layout)
    outputs = contract.output_parser.outputs if contract.output_parser else ()
    for number, output in enumerate(outputs):
        equals = output.input.equals
        if equals in ("file_name", "stem") and "file.name" not in unique:
            place: Path = ("output_parser", "outputs", number, "input", "equals")
            yield (
                place,
                f"several inputs may have one {equals}: put {_UNIQUE_SAID} into the last part of "
                "their path, or match by path, key or node_id",
            )


def _commands(contract: ActionContract, parameters: frozenset[str]) -> Iterator[Rule]:
    spec = contract.run_spec
    if spec is None:
        return
    allowed = templates.OF_RUN | parameters
    if not contract.model_sha256:
        allowed -= {"model"}
    if contract.pins is not None:
        allowed |= {f"model.{name}" for name in contract.pins.files}
    for number, piece in enumerate(spec.command):
        yield from _fields(("run_spec", "command", number), piece, allowed)
    for name, text in spec.environment.set.items():
        yield from _fields(("run_spec", "environment", "set", name), text, allowed)


def _path(
    place: Path, template: str, allowed: frozenset[str], unique: frozenset[str] | None, said: str
) -> Iterator[Rule]:
    broken = list(_fields(place, template, allowed))
    if broken:
        yield from broken
        return
    used = fields_of(template)
    reason = check_relative_path(render(template, dict.fromkeys(used, "x"), path=True))
    if reason:
        yield place, f"cannot be a path: {reason}"
    elif unique is not None and not unique & set(used):
        yield place, f"would be the same for several nodes: put {said} into it"


def _fields(place: Path, template: str, allowed: frozenset[str]) -> Iterator[Rule]:
    try:
        used = fields_of(template)
    except TemplateError as error:
        yield place, str(error)
        return
    for name in dict.fromkeys(used):
        if name not in allowed:
            yield place, f"there is no field {{{name}}} here" + suggestion(name, allowed)


def _safe_fields(template: str) -> list[str]:
    try:
        return fields_of(template)
    except TemplateError:
        return []
