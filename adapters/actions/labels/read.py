"""Labels out of files: it owns reading exports of labelling tools as answers, one by one.

    label_studio   its JSON export: choices for a classification, rectangles for boxes
    coco           categories as classes; one answer per image
    csv            columns: which input (key, node_id, file or image), then class, or label x y
                   width height; labeller where there is a column for it; a row without
                   class or label is not answered
    folder         a folder per class with the files in it, or copies of them

What one person says about one input is one answer; which input is meant is text, matched later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from adapters.actions.outputs.parse_labels import labeller_of, read_coco, result_fields
from adapters.actions.outputs.parse_readers import read_csv, read_document
from adapters.records.errors import RecordError

if TYPE_CHECKING:
    from adapters.actions.contract.contract import LabelTask, Output
    from adapters.actions.outputs.tree import OutputTree

INPUT_COLUMNS = ("key", "node_id", "file", "file_name", "image", "path")
CLASS_COLUMNS = ("class", "label", "choice", "category")


class ReadAnswer(NamedTuple):
    """One answer of one file; `names` are what the file calls its input, the best first."""

    path: str
    number: int
    names: tuple[str, ...]
    labeller: str | None
    document: dict[str, Any] | None
    """None is a skip."""
    mark: str = ""
    """What tells this annotation from an equal one of another time, where the file says it."""


class ReadTrouble(NamedTuple):
    """What could not be read."""

    path: str
    number: int
    reason: str


Read = ReadAnswer | ReadTrouble


def read_labels(form: str, tree: OutputTree, path: str, task: LabelTask) -> Iterator[Read]:
    """Yield the answers of one file; what is wrong costs itself."""
    try:
        yield from _READERS[form](tree, path, task)
    except RecordError as error:
        yield ReadTrouble(path, -1, str(error))


# ---- Label Studio ----------------------------------------------------------------------------


def _read_label_studio(tree: OutputTree, path: str, task: LabelTask) -> Iterator[Read]:
    value = read_document(tree, path)
    items = cast("list[Any]", value if isinstance(value, list) else [value])
    for number, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("data"), dict):
            yield ReadTrouble(path, number, "a task without `data`")
            continue
        names = _names_of_task(cast("dict[str, Any]", item))
        annotations = item.get("annotations", item.get("completions", []))
        if not isinstance(annotations, list):
            yield ReadTrouble(path, number, "a task whose `annotations` are no array")
            continue
        for annotation in cast("list[Any]", annotations):
            try:
                yield _annotation(path, number, names, annotation, task)
            except RecordError as error:
                yield ReadTrouble(path, number, str(error))


def _names_of_task(item: dict[str, Any]) -> tuple[str, ...]:
    data = cast("dict[str, Any]", item["data"])
    found = [data.get("key"), data.get("node_id")]
    # Not the task's id: Label Studio numbers tasks anew, and the numbers of nodes look alike.
    found += [data.get(name) for name in ("image", "file", "text", "audio", "video")]
    return tuple(str(name) for name in found if isinstance(name, (str, int)))


def _annotation(
    path: str, number: int, names: tuple[str, ...], annotation: Any, task: LabelTask
) -> ReadAnswer:
    results = annotation.get("result") if isinstance(annotation, dict) else None
    if not isinstance(results, list):
        raise RecordError("an annotation without `result`")
    labeller = labeller_of(annotation)
    mark = f"{annotation.get('id')} {annotation.get('updated_at')}"
    if annotation.get("was_cancelled"):
        return ReadAnswer(path, number, names, labeller, None, mark)
    fields = [result_fields(result) for result in cast("list[Any]", results)]
    if task.kind == "classification":
        classes = [name for part in fields for name in part.get("labels", ())]
        if len(classes) != 1:
            raise RecordError(f"{len(classes)} classes where one is asked for")
        return ReadAnswer(path, number, names, labeller, {"class": classes[0]}, mark)
    boxes = [_pixel_box(part) for part in fields if part.get("type") == "rectanglelabels"]
    return ReadAnswer(path, number, names, labeller, {"boxes": boxes}, mark)


def _pixel_box(fields: dict[str, Any]) -> dict[str, Any]:
    names = ("x", "y", "width", "height")
    if any(f"{name}_px" not in fields for name in names):
        raise RecordError("a rectangle without original_width and original_height")
    if fields.get("rotation"):
        raise RecordError("a rectangle that is turned; boxes are upright")
    box: dict[str, Any] = {name: fields[f"{name}_px"] for name in names}
    return {"label": fields.get("label"), **box}


# ---- COCO, CSV, folders ----------------------------------------------------------------------


def _read_coco(tree: OutputTree, path: str, task: LabelTask) -> Iterator[Read]:
    # The reader of outputs wants a contract's output only for formats other than this one.
    by_image: dict[str, tuple[tuple[str, ...], list[dict[str, Any]]]] = {}
    for found in read_coco(tree, path, cast("Output", None)):
        if isinstance(found.fields, RecordError):
            # Whose box it was is unknown, and an answer with a box too few is a wrong one.
            raise found.fields
        image = found.fields["image"]
        given = (image.get("key"), found.fields.get("file_name"))
        names = tuple(str(name) for name in given if isinstance(name, (str, int)))
        _, parts = by_image.setdefault(str(found.fields["image_id"]), (names, []))
        if not found.empty:
            parts.append(found.fields)
    for number, (image_id, (names, parts)) in enumerate(by_image.items()):
        if task.kind == "classification":
            classes = sorted({str(part.get("category")) for part in parts})
            if len(classes) != 1:
                reason = f"{len(classes)} classes where one is asked for"
                yield ReadTrouble(path, number, f"image {image_id}: {reason}")
                continue
            yield ReadAnswer(path, number, names, None, {"class": classes[0]})
        else:
            boxes = [
                {"label": part.get("category"), **{name: part[name] for name in _SIDES}}
                for part in parts
                if "x" in part
            ]
            yield ReadAnswer(path, number, names, None, {"boxes": boxes})


_SIDES = ("x", "y", "width", "height")


def _read_csv(tree: OutputTree, path: str, task: LabelTask) -> Iterator[Read]:
    boxes: dict[tuple[tuple[str, ...], str | None], tuple[int, list[dict[str, Any]]]] = {}
    broken: set[tuple[tuple[str, ...], str | None]] = set()
    for found in read_csv(tree, path, cast("Output", None)):
        if isinstance(found.fields, RecordError):
            yield ReadTrouble(path, found.number, str(found.fields))
            continue
        fields = {name.lower(): value for name, value in found.fields.items()}
        names = tuple(fields[name] for name in INPUT_COLUMNS if fields.get(name))
        labeller = fields.get("labeller") or fields.get("annotator")
        label = next((fields[name] for name in CLASS_COLUMNS if fields.get(name)), None)
        if not names:
            known = ", ".join(INPUT_COLUMNS)
            yield ReadTrouble(path, found.number, f"no column names the input: {known}")
        elif label is None:
            continue  # Not answered yet: tables are filled in bit by bit.
        elif task.kind == "classification":
            yield ReadAnswer(path, found.number, names, labeller, {"class": label})
        else:
            _, listed = boxes.setdefault((names, labeller), (found.number, []))
            try:
                listed.append({"label": label, **_sides(fields)})
            except RecordError as error:
                broken.add((names, labeller))
                yield ReadTrouble(path, found.number, str(error))
    for (names, labeller), (number, listed) in boxes.items():
        if (names, labeller) not in broken:
            yield ReadAnswer(path, number, names, labeller, {"boxes": listed})


def _sides(fields: dict[str, Any]) -> dict[str, float]:
    try:
        return {name: float(fields[name]) for name in _SIDES}
    except (KeyError, TypeError, ValueError):
        raise RecordError("a box needs numbers in the columns x, y, width and height") from None


def _read_folder(_tree: OutputTree, path: str, task: LabelTask) -> Iterator[Read]:
    if task.kind != "classification":
        raise RecordError("a folder per class can only answer a classification")
    name = path.rpartition("/")[0].rpartition("/")[2]
    if not name:
        raise RecordError("lies in no folder: its folder says its class")
    yield ReadAnswer(path, -1, (path,), None, {"class": name})


_READERS: dict[str, Callable[[OutputTree, str, LabelTask], Iterator[Read]]] = {
    "label_studio": _read_label_studio,
    "coco": _read_coco,
    "csv": _read_csv,
    "folder": _read_folder,
}
FORMATS = tuple(_READERS)
