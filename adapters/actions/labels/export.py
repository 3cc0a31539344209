"""Label tasks as files: it owns what tools are given beside the staged images (AC5).

Staging writes the same forms as listings of a contract; this is for tasks that are open now.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from base.errors import UsageError
from base.text import safe_text

if TYPE_CHECKING:
    from adapters.actions.contract.contract import LabelTask as Question
    from sql import Database, LabelTask

TASKS_PER_PAGE = 1_000
FORMATS = ("label_studio", "csv")
PathOf = Callable[[int, str], str]
"""From node_id and key to where the file lies for the tool."""


def export_tasks(
    database: Database,
    action_event_id: int,
    form: str,
    path_of: PathOf,
    *,
    labeller: str | None = None,
    open_only: bool = True,
) -> str:
    """Return the tasks as one document: Label Studio's JSON, or CSV with a column `label` to fill.

    With `labeller` those that this one said nothing to. Import finds them again by their key.
    """
    if form not in FORMATS:
        raise UsageError(f"{form!a} is no format of tasks; take {' or '.join(FORMATS)}")
    tasks = _all_tasks(database, action_event_id, labeller, open_only)
    return _label_studio(tasks, path_of) if form == "label_studio" else _csv(tasks, path_of)


def label_config(question: Question) -> str:
    """Return the labelling interface that Label Studio is set up with, as its XML."""
    from xml.sax.saxutils import quoteattr

    if question.kind == "classification":
        kind, item = '<Choices name="class" toName="image" choice="single">', "Choice"
    else:
        kind, item = '<RectangleLabels name="boxes" toName="image">', "Label"
    items = "".join(f"<{item} value={quoteattr(name)}/>" for name in question.classes)
    header = f"<Header value={quoteattr(question.question)}/>" if question.question else ""
    end = kind[1:].partition(" ")[0]
    return f'<View>{header}<Image name="image" value="$image"/>{kind}{items}</{end}></View>'


def _all_tasks(
    database: Database, event_id: int, labeller: str | None, open_only: bool
) -> Iterator[LabelTask]:
    after = 0
    while page := database.labels.tasks(
        event_id,
        open_only=open_only,
        labeller=labeller,
        after_task_id=after,
        limit=TASKS_PER_PAGE,
    ):
        yield from page
        after = page[-1].task_id


def _label_studio(tasks: Iterable[LabelTask], path_of: PathOf) -> str:
    records: list[dict[str, Any]] = [
        {
            "id": task.task_id,
            "data": {"image": path_of(task.node_id, task.key), "key": task.key},
        }
        for task in tasks
    ]
    return json.dumps(records, indent=1) + "\n"


def _csv(tasks: Iterable[LabelTask], path_of: PathOf) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("key", "file", "label", "labeller"))
    for task in tasks:
        writer.writerow((task.key, safe_text(path_of(task.node_id, task.key)), "", ""))
    return text.getvalue()
