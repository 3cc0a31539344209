"""Label Studio: tasks with the results of those who annotated them, as its export as JSON has them.

Places are per cent of the picture and become pixels, so a result must say how large it is. What a
result says of another one of the same id (a choice for one box) is among that one's attributes.
Cancelled annotations are no labels, and predictions are only where nobody annotated. Of texts the
labels are spans of characters, of sounds and films of seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.values import as_count, as_number, as_text, dig, mappings
from adapters.sources.annotated.json_documents import (
    AnnotatedDocuments,
    Items,
    Told,
    places_below,
    records_of,
)
from adapters.sources.annotated.picture import Label, Picture, geometry, split_in
from adapters.sources.annotated.pixels import MASK_PIXELS_MAX, ellipse, mask_of
from adapters.sources.labelled_columns import node_of_row
from sql import media_type_of

TASKS_LOOKED_AT = 5
KEYS = ("image", "img", "photo", "video", "audio", "sound", "text")
_UPLOADED = re.compile(r"^[0-9a-f]{8}[-_]+(?=.)")
"""What Label Studio puts before the names of files that are uploaded to it."""
_OWN = frozenset({"inner_id", "file_upload", "total_annotations", "total_predictions"})
_RUN_SIZES = 4


def is_label_studio(value: Any) -> bool:
    """Tell whether a document is an export of tasks."""
    tasks = value[:TASKS_LOOKED_AT] if isinstance(value, list) else [value]
    have_data = all(isinstance(t, dict) and isinstance(t.get("data"), dict) for t in tasks)
    return have_data and any(_was_annotated(task) for task in tasks)


def _was_annotated(value: dict[str, Any]) -> bool:
    lists = [value[name] for name in ("annotations", "completions", "predictions") if name in value]
    made = next((one for members in lists if isinstance(members, list) for one in members), None)
    if made is None:
        return bool(lists) and bool(_OWN & value.keys())
    return isinstance(made, dict) and isinstance(made.get("result"), list)


def _document(folder: ScrapeFolder, path: str, value: Any) -> Items:
    tasks = value if isinstance(value, list) else [value]
    yield from records_of(folder, path, "label_studio", (_task(path, task) for task in tasks))


def _task(path: str, task: Any) -> Told:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        return Picture("", ()), [], task
    results = list(_results(task))
    data, shown = task["data"], _shown(task["data"], [result for result, _ in results])
    labels, wrong = list[Label](), list[str]()
    for result, who in results:
        try:
            labels += _labels(result, who)
        except RecordError as error:
            wrong.append(f"result {str(result.get('id'))[:40]!a} of task {_told(task)}: {error}")
    sizes = [(one.get("original_width"), one.get("original_height")) for one, _ in results]
    width, height = next((size for size in sizes if as_count(size[0])), (None, None))
    names = _names(shown, is_picture=width is not None)
    picture = Picture(
        names[-1].rpartition("/")[2] if names else "",
        labels,
        image_id=task.get("id"),
        split=_split(path, names),
        width=width,
        height=height,
        candidates=places_below(path, names),
        node=None if names else node_of_row(data),
        title=None if names else shown,
    )
    return picture, wrong, task


def _told(task: dict[str, Any]) -> str:
    return f"{str(task.get('id'))[:40]!a}"


def _split(path: str, names: list[str]) -> str | None:
    folders = [f"{name.rpartition('/')[0]}/" for name in names]
    return next((split for name in (*folders, path) if (split := split_in(name))), None)


# ---- What a task is about ------------------------------------------------------------------------


def _shown(data: dict[str, Any], results: list[dict[str, Any]]) -> str | None:
    """Return the address or text that the results are about."""
    for result in results:
        value = result.get("value")
        start, end, said = (dig(value, name) for name in ("start", "end", "text"))
        if isinstance(start, int) and isinstance(end, int) and isinstance(said, str):
            found = (t for t in data.values() if isinstance(t, str) and t[start:end] == said)
            if (text := next(found, None)) is not None:
                return text
    objects = [as_text(result.get("to_name")) for result in results]
    texts = {name: text for name, value in data.items() if (text := as_text(value))}
    media = [name for name, text in texts.items() if _is_media(text)]
    named = [*objects, *KEYS, *media, *texts]
    return next((texts[name] for name in named if name in texts), None)


def _is_media(text: str) -> bool:
    return bool(extension_of(text)) and media_type_of(extension_of(text)) is not None


def _names(shown: str | None, is_picture: bool) -> list[str]:
    """Return the names of a file in an address, from its whole path to the name as uploaded."""
    if shown is None or "\n" in shown:
        return []
    try:
        parts = urlsplit(shown)
        local = parse_qs(parts.query).get("d", [None])[0]
    except ValueError:
        return []
    path = (local or unquote(parts.path)).replace("\\", "/").lstrip("/")
    base = path.rpartition("/")[2]
    if not base or not (is_picture or _is_media(base)):
        return []
    return list(dict.fromkeys((path, base, _UPLOADED.sub("", base))))


# ---- Results -------------------------------------------------------------------------------------


def _results(task: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the results with what their annotation says of all of them."""
    told = mappings(task.get("annotations", task.get("completions")))
    made = [one for one in told if not one.get("was_cancelled")]
    is_predicted = not any(one.get("result") for one in made)
    for one in mappings(task.get("predictions")) if is_predicted else made:
        who = one.get("completed_by")
        if isinstance(who, dict):
            who = who.get("email") or who.get("id")
        annotator = as_text(one.get("model_version") if is_predicted else who)
        common = {"annotator": annotator, "of": as_text(one.get("id"))}
        results = [result for result in mappings(one.get("result")) if "value" in result]
        places = {as_text(result.get("id")) for result in results if _has_place(result)}
        for result in results:
            identity = as_text(result.get("id"))
            if _has_place(result) or identity is None or identity not in places:
                beside = [r for r in results if not _has_place(r) and r.get("id") == identity]
                yield result, {**common, "beside": beside if _has_place(result) else []}


def _has_place(result: dict[str, Any]) -> bool:
    value = result.get("value")
    names = {"x", "points", "rle", "start", "sequence", "ranges"}
    return isinstance(value, dict) and bool(names & value.keys())


def _labels(result: dict[str, Any], common: dict[str, Any]) -> Iterator[Label]:
    value, form = result.get("value"), as_text(result.get("type")) or ""
    if not isinstance(value, dict):
        raise RecordError("its `value` is no object")
    attributes = _attributes(result, common)
    identity = "/".join(filter(None, (common["of"], as_text(result.get("id")))))
    known: dict[str, Any] = {
        "annotation_id": identity or None,
        "confidence": result.get("score"),
        "annotator": common["annotator"],
    }
    names = _named(value, form, common["beside"])
    if _has_place(result):
        box, place = _place(value, result)
        for name in names or [None]:
            yield Label(label=name, box=box, geometry=place, attributes=attributes, **known)
    elif form == "textarea":
        lines = value.get("text")
        texts = [lines] if isinstance(lines, str) else lines if isinstance(lines, list) else []
        caption = "\n".join(text for line in texts if (text := as_text(line)))
        yield Label(caption=caption, kind="caption", attributes=attributes, **known)
    elif names:
        yield from (Label(label=n, kind="tag", attributes=attributes, **known) for n in names)
    else:
        said = {name: part for name, part in value.items() if isinstance(part, str | int | float)}
        if not said:
            raise RecordError(f"a value of the type {form[:40]!a} that is none that is known")
        yield Label(kind="tag", attributes=attributes | said, **known)


def _attributes(result: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    found = {name: result[name] for name in ("from_name", "parentID") if name in result}
    if as_number(result.get("image_rotation")):
        found["image_rotation"] = result["image_rotation"]
    for other in common["beside"]:
        name, value = as_text(other.get("from_name")), other.get("value")
        if name and isinstance(value, dict):
            found[name] = value.get(as_text(other.get("type")) or "", value)
    if isinstance(frames := dig(result, "value", "sequence"), list):
        found["sequence"] = frames
    if isinstance(said := dig(result, "value", "text"), str):
        found["text"] = said
    return found


def _named(value: dict[str, Any], form: str, beside: list[dict[str, Any]]) -> list[str]:
    """Return the classes that a result names; of a taxonomy the last words."""
    found = value.get(form, value.get("labels"))
    if found is None:
        kinds = [(as_text(one.get("type")) or "", one.get("value")) for one in beside]
        found = next((dig(v, k) for k, v in kinds if k.endswith("labels")), None)
    if isinstance(found, str):
        found = [found]
    members = found if isinstance(found, list) else []
    texts = (as_text(m[-1] if isinstance(m, list) and m else m, 200) for m in members)
    return [text for text in texts if text]


# ---- Places --------------------------------------------------------------------------------------

_Place = tuple[tuple[float, float, float, float] | None, Any]


def _place(value: dict[str, Any], result: dict[str, Any]) -> _Place:
    if "rle" in value:
        return None, geometry(mask=_mask(value["rle"], *_size(result)))
    if isinstance(points := value.get("points"), list):
        width, height = _size(result)
        pairs = [[as_number(n) for n in p] if isinstance(p, list) else [] for p in points]
        if any(len(pair) != 2 or None in pair for pair in pairs):
            raise RecordError("points that are not x and y")
        scaled = ((x * width / 100, y * height / 100) for x, y in pairs)  # type: ignore[operator]
        return None, geometry(polygons=[list(chain.from_iterable(scaled))])
    if "sequence" in value:
        times = [as_number(one.get("time")) for one in mappings(value["sequence"])]
        return None, geometry(span=_ends([time for time in times if time is not None]))
    if isinstance(ranges := value.get("ranges"), list):
        ends = [as_number(one.get(end)) for one in mappings(ranges) for end in ("start", "end")]
        return None, geometry(span=_ends([end for end in ends if end is not None]))
    if "start" in value:
        ends = value.get("globalOffsets") or value
        begin, end = (as_number(dig(ends, name)) for name in ("start", "end"))
        if begin is None or end is None:
            raise RecordError("a span without start and end")
        return None, geometry(span=(begin, end))
    return _upright(value, result)


def _ends(numbers: list[float]) -> tuple[float, float]:
    if not numbers:
        raise RecordError("a track without times")
    return min(numbers), max(numbers)


def _upright(value: dict[str, Any], result: dict[str, Any]) -> _Place:
    """Return a box, which turns around its left top corner, an ellipse, or a key point."""
    width, height = _size(result)

    def pixels(name: str, whole: int) -> float | None:
        number = as_number(value.get(name))
        return None if number is None else number * whole / 100

    x, y = pixels("x", width), pixels("y", height)
    if x is None or y is None:
        raise RecordError("a place without x and y")
    degrees = as_number(value.get("rotation")) or 0.0
    across, down = pixels("radiusX", width), pixels("radiusY", height)
    if across is not None and down is not None:
        return None, geometry(polygons=[ellipse((x, y), (across, down), degrees)])
    across, down = pixels("width", width), pixels("height", height)
    if across is None or down is None or str(result.get("type")).startswith("keypoint"):
        return None, geometry(points=[x, y, 2.0])
    if across < 0 or down < 0:
        raise RecordError("a box of negative width or height")
    if not degrees:
        return (x, y, across, down), geometry()
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    centre_x = x + across / 2 * cosine - down / 2 * sine
    centre_y = y + across / 2 * sine + down / 2 * cosine
    return None, geometry(turned=[centre_x, centre_y, across, down, degrees])


def _size(result: dict[str, Any]) -> tuple[int, int]:
    width, height = (as_count(result.get(f"original_{side}")) for side in ("width", "height"))
    if not width or not height:
        raise RecordError("it does not say how large its picture is (original_width and _height)")
    return width, height


def _mask(packed: Any, width: int, height: int) -> dict[str, Any]:
    """Return the mask in a brush's runs: of the bytes of all pixels, four each, packed in bits."""
    count = width * height * 4
    if count > 4 * MASK_PIXELS_MAX or not isinstance(packed, list):
        raise RecordError("a mask that is no list of runs, or beyond the limit of pixels")
    if any(not isinstance(byte, int) or not 0 <= byte <= 255 for byte in packed):
        raise RecordError("a mask whose runs are no bytes")
    bits = "".join(format(byte, "08b") for byte in packed)
    place = 0

    def take(length: int) -> int:
        nonlocal place
        place += length
        if place > len(bits):
            raise RecordError("a mask whose runs are cut off")
        return int(bits[place - length : place], 2)

    if take(32) != count:
        raise RecordError("a mask whose runs are not of its picture")
    word = take(5) + 1
    sizes = [take(4) + 1 for _ in range(_RUN_SIZES)]
    found = np.zeros(count, dtype=np.uint8)
    done = 0
    while done < count:
        is_run = take(1)
        end = done + 1 + take(sizes[take(2)])
        if end > count:
            raise RecordError("a mask whose runs go beyond its picture")
        values = [take(word) & 255] if is_run else [take(word) & 255 for _ in range(end - done)]
        found[done:end] = values
        done = end
    return mask_of(found.reshape(height, width, 4)[:, :, 3])


LABEL_STUDIO = AnnotatedDocuments(
    "label-studio", "tasks with annotations", is_label_studio, _document
)
