"""Labels come back by files (AC5): it owns matching them to tasks, keeping the files, and answers.

    read       every file, every answer, checked against the question
    keep       the files in the store, as attachment nodes below the inputs they are about
    import     the answers; the same file again adds nothing, later ones supersede

One bad answer costs itself. Killed anywhere and run again, nothing is there twice.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.actions.labels.answer import check_answer
from adapters.actions.labels.read import FORMATS, ReadAnswer, ReadTrouble, read_labels
from adapters.actions.outputs.children import store_files
from adapters.actions.outputs.match import path_fields, shown
from adapters.actions.outputs.tree import OutputTree, list_given, list_outputs
from adapters.records.errors import RecordError
from adapters.records.folder import extension_of
from adapters.records.listing import quarantine_path
from base.errors import UsageError
from base.text import safe_text
from fsd import Client
from sql import Edge, ImportedAnswer, PhysicalNode, Relationship, WriteIntent, canonical_json

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.contract import LabelTask
    from sql import Database

ANNOTATION = "annotation"
"""The relationship from an input to the file that says something of it; it forms no tree, because
one file may be about thousands of inputs."""
LISTED_MAX = 100
LABELLER_LENGTH_MAX = 200
# Label Studio puts eight digits in front of what is uploaded, and a query in front of local files.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


@dataclass(slots=True)
class ImportReport:
    """What an import did; `problems` are cut at LISTED_MAX, the counts are not."""

    files: int = 0
    answers: int = 0
    answers_new: int = 0
    refused: int = 0
    attachments: int = 0
    problems: list[str] = field(default_factory=list[str])


def import_labels(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    action_event_id: int,
    folder: str,
    form: str,
    *,
    labeller: str | None = None,
    paths: Sequence[str] | None = None,
) -> ImportReport:
    """Import the labels of a folder, or of the listed paths of it.

    `form` is label_studio, coco, csv or folder; `labeller` is who said what names nobody. Inputs
    are found by their key, their node_id, or a file name that is one of both. UsageError when
    nothing can be read this way at all.
    """
    task = loaded.contract.label_task
    if task is None:
        raise UsageError(f"action {loaded.contract.name} asks people nothing (`label_task`)")
    if form not in FORMATS:
        raise UsageError(f"{form!a} is no format of labels; take {', '.join(FORMATS)}")
    if not os.path.isdir(folder):
        raise UsageError(f"{safe_text(folder)} is not a folder")
    tree = list_outputs(folder) if paths is None else list_given(folder, paths)
    wanted = sorted(tree.files) if paths is None else list(paths)
    unknown = [path for path in wanted if path not in tree.files]
    if unknown or not wanted:
        what = f"there is no file {shown(unknown[0])}" if unknown else "there are no files"
        raise UsageError(f"{what} in {safe_text(folder)}")
    report = ImportReport(files=len(wanted))
    names = _TaskNames(database, action_event_id)
    answers = _read(tree, wanted, form, task, names, labeller, report)
    if form != "folder" and answers:
        _keep_files(client, database, loaded, action_event_id, tree, answers, names, report)
    # A crash before this line leaves attachments without answers: the next import adds those.
    report.answers = len(answers)
    report.answers_new = database.labels.import_answers(
        action_event_id, form, (answer for _, answer in answers)
    )
    return report


class _TaskNames:
    """The inputs that people are asked about, by what files may call them."""

    def __init__(self, database: Database, event_id: int) -> None:
        self.keys: dict[int, str] = {}
        after = 0
        while tasks := database.labels.tasks(event_id, after_task_id=after, limit=1_000):
            self.keys |= {task.node_id: task.key for task in tasks}
            after = tasks[-1].task_id
        if not self.keys:
            raise UsageError(f"event {event_id} has no label tasks; stage it first")
        self._nodes = {key: node_id for node_id, key in self.keys.items()}

    def find(self, names: Sequence[str]) -> int:
        """Return the input that these names mean; RecordError when they mean none, or two.

        A key is beyond doubt; numbers and file names must not contradict each other.
        """
        for name in names:
            if name.lower() in self._nodes:
                return self._nodes[name.lower()]
        found = {node_id for name in names for node_id in self._meant(name)}
        if len(found) != 1:
            what = "two tasks" if found else "no task"
            raise RecordError(f"{', '.join(shown(name) for name in names)} names {what}")
        return found.pop()

    def _meant(self, name: str) -> Iterator[int]:
        text = name.replace("\\", "/")
        for part in {text, text.rpartition("=")[2], text.partition("?")[0]}:
            stem = path_fields(part)["stem"]
            for word in {part, stem, _UPLOADED.sub("", stem)}:
                if word.lower() in self._nodes:
                    yield self._nodes[word.lower()]
                elif word.isdecimal() and len(word) < 19 and int(word) in self.keys:
                    yield int(word)


def _read(
    tree: OutputTree,
    paths: Sequence[str],
    form: str,
    task: LabelTask,
    names: _TaskNames,
    labeller: str | None,
    report: ImportReport,
) -> list[tuple[str, ImportedAnswer]]:
    answers: list[tuple[str, ImportedAnswer]] = []
    for path in paths:
        for item in read_labels(form, tree, path, task):
            try:
                if isinstance(item, ReadTrouble):
                    raise RecordError(item.reason)
                answers.append((path, _checked(item, task, names, labeller)))
            except RecordError as error:
                report.refused += 1
                if len(report.problems) < LISTED_MAX:
                    place = f", record {item.number}" if item.number >= 0 else ""
                    report.problems.append(safe_text(f"{quarantine_path(path)}{place}: {error}"))
    return answers


def _checked(
    item: ReadAnswer, task: LabelTask, names: _TaskNames, labeller: str | None
) -> ImportedAnswer:
    node_id = names.find(item.names)
    who = item.labeller or labeller
    if who is None:
        raise RecordError("it says not who answered; name the labeller when importing")
    if not who.isprintable() or len(who) > LABELLER_LENGTH_MAX:
        raise RecordError(f"{shown(who)!r} is no name of a labeller")
    document = None if item.document is None else check_answer(task, item.document)
    said = canonical_json([who, item.mark, document])
    return ImportedAnswer(
        node_id=node_id,
        labeller=who,
        kind="skip" if document is None else "answer",
        document=document,
        import_key=hashlib.sha256(said.encode()).hexdigest(),
    )


def _keep_files(
    client: Client,
    database: Database,
    loaded: LoadedContract,
    event_id: int,
    tree: OutputTree,
    answers: list[tuple[str, ImportedAnswer]],
    names: _TaskNames,
    report: ImportReport,
) -> None:
    """Keep the files that said something as nodes, each tied to the inputs it is about."""
    extensions = database.file_extensions()
    about: dict[str, set[int]] = {}
    for path, answer in answers:
        if extension_of(path) in extensions:
            about.setdefault(path, set()).add(answer.node_id)
    keys = store_files(client, tree, f"labels-{event_id}", sorted(about))
    action_id = loaded.contract.action_id
    relationship = Relationship(description=ANNOTATION, forms_tree=False, action_id=action_id)
    for path, node_ids in about.items():
        key = keys[path]
        inputs = [names.keys[node_id] for node_id in sorted(node_ids)]
        mark = hashlib.sha256("".join([key, *inputs]).encode()).hexdigest()[:16]
        node = PhysicalNode(
            key=key, size_bytes=tree.files[path].size_bytes, extension=extension_of(path)
        )
        edges = tuple(
            Edge(parent=parent, child=key, relationship=ANNOTATION, action_id=action_id)
            for parent in inputs
            if parent != key
        )
        intent = WriteIntent(
            intent_id=f"labels:{event_id}:file:{mark}",
            physical_nodes=(node,),
            relationships=(relationship,),
            edges=edges,
        )
        database.apply_intent(intent)
        report.attachments += 1
