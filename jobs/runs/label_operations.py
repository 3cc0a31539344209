"""Operations on what people answer: how far they are, tasks as files, and answers from files (AC5).

The tasks go out as a file for a labelling tool, the tool's export comes back in. The formats, and
what becomes of a bad answer, are the adapters' business.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from base.errors import EXIT_INCOMPLETE, UsageError
from base.model import Document
from base.operations.operation import Caller, Cli, Shell, operation
from base.output import say, write_json, write_line, write_table
from base.text import safe_text
from jobs.runs.operations import OneRun
from jobs.runs.session import Session, opened

if TYPE_CHECKING:
    from adapters.actions import ImportReport, LabelReport, LoadedContract

__all__ = ["opened"]

PROBLEMS_SHOWN_MAX = 20
Labeller = Annotated[str | None, Field(description="Who said what names nobody.")]


class NewLabelling(Document):
    """What people are to be asked."""

    name: Annotated[
        str,
        Field(title="Short name", pattern=r"^[a-z][a-z0-9_]{0,40}$",
              description="Small letters, digits and _: results are called by it."),
    ]  # fmt: skip
    question: Annotated[
        str, Field(title="Question", min_length=1, max_length=300, description="What is asked.")
    ]
    kind: Annotated[
        Literal["classification", "boxes"],
        Field(
            title="How it is answered",
            description="classification: one class for each. boxes: boxes with classes, drawn.",
            json_schema_extra={
                "choices": {"classification": "choose a class for each picture",
                            "boxes": "draw boxes, each with its class"}
            },
        ),
    ] = "classification"  # fmt: skip
    classes: Annotated[
        list[str],
        Field(title="Classes", min_length=1, max_length=200, description="One a line."),
    ]
    labellers: Annotated[
        int,
        Field(title="How many people answer each", ge=1, le=20,
              description="So many people answer each task."),
    ] = 1  # fmt: skip
    people: Annotated[
        tuple[str, ...],
        Field(title="Who is asked", max_length=100,
              description="Accounts, one a line; none are all who label."),
    ] = ()  # fmt: skip


class MadeLabelling(Document):
    """An action that asks people; started over nodes, its questions appear."""

    action: str
    path: str


@operation(
    "label.create",
    role="operator",
    kind="change",
    route="POST /labels",
    cli=Cli(
        options={"classes": ("--class",), "people": ("--account",)},
        metavars={"name": "NAME", "classes": "CLASS", "people": "NAME"},
        show=lambda made, _: write_line(made.path),
        example="drystone label create --name species --question 'Which animal?' "
        "--class cat --class dog",
    ),
)
def create(session: Session, _caller: Caller, asked: NewLabelling) -> MadeLabelling:
    """Write a question to people as an action; `run start ua_2` asks it of nodes.

    It is a contract in the folder `actions` beside drystone.toml.
    """
    from adapters.actions import NewQuestion, make_question

    for name in asked.people:
        session.database.users.user(name)  # NotFoundError names whom nobody knows.
    if asked.people and len(set(asked.people)) < asked.labellers:
        raise UsageError(
            f"{asked.labellers} people are to answer each, and {len(set(asked.people))} are asked"
        )
    new = NewQuestion(
        asked.name, asked.question, asked.kind, tuple(asked.classes), asked.labellers,
        asked.people,
    )  # fmt: skip
    made = make_question(session.config_path, session.database, new)
    return MadeLabelling(action=made.contract.name, path=made.path)


def _show_report(report: LabelReport, asked: OneRun) -> None:
    percent = report.agreement.percent
    rows = [
        ("tasks", f"{report.tasks:,}"),
        ("complete", f"{report.complete:,}"),
        ("disputed", f"{report.disputed:,}"),
        ("skipped", f"{report.skipped:,}"),
        ("hidden", f"{report.hidden:,}"),
        ("agreement", "-" if percent is None else f"{percent:.1f} %"),
    ]
    write_table((f"labels of run {asked.run_id}", ">"), rows)


@operation(
    "label.show",
    role="viewer",
    kind="question",
    route="GET /runs/{run_id}/labels",
    cli=Cli(positional=("run_id",), metavars={"run_id": "RUN"}, show=_show_report),
)
def show(session: Session, _caller: Caller, asked: OneRun) -> LabelReport:
    """Tell how far the labelling of a run is, and how far people agree."""
    from adapters.actions import label_report

    return label_report(session.database, *_asked(session, asked.run_id))


class ExportRequest(OneRun):
    """Which tasks of a run, for which tool."""

    form: Annotated[
        Literal["label_studio", "csv"],
        Field(description="Tasks of Label Studio, or a table to fill in."),
    ] = "label_studio"
    out: Annotated[str | None, Field(description="Not to stdout.")] = None
    all_tasks: Annotated[bool, Field(description="Also those that want no answer any more.")] = (
        False
    )
    labeller: Annotated[str | None, Field(description="What this one said nothing to yet.")] = None
    mount: Annotated[
        str | None, Field(description="Where the tool sees the mount; else as here.")
    ] = None
    setup: Annotated[
        bool, Field(description="Instead: the XML that Label Studio is set up with.")
    ] = False


def _finish_export(shell: Shell, text: str, asked: ExportRequest) -> int:
    if asked.out is not None:
        try:
            with open(asked.out, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            shown = safe_text(asked.out)
            raise UsageError(f"{shown} cannot be written: {error.strerror}") from error
        return 0
    for line in text.removesuffix("\n").split("\n"):
        write_line(line)
    return 0


@operation(
    "label.export",
    role="operator",
    kind="question",
    route="GET /runs/{run_id}/labels/tasks",
    cli=Cli(
        positional=("run_id",),
        options={"form": ("--format",), "all_tasks": ("--all",)},
        metavars={
            "run_id": "RUN", "form": "[label_studio|csv]", "out": "FILE", "labeller": "NAME",
            "mount": "DIR",
        },
        finish=_finish_export,
    ),
    is_private=True,
)  # fmt: skip
def export(session: Session, _caller: Caller, asked: ExportRequest) -> str:
    """Write the open tasks of a run as a file for a labelling tool.

    Pictures are named as they lie in the mount; `label import` finds them again by their key.
    """
    from adapters import mount_root
    from adapters.actions import export_tasks, label_config

    loaded, event_id = _asked(session, asked.run_id)
    root = asked.mount if asked.mount is not None else mount_root(session.config_path)

    def path_of(_node_id: int, key: str) -> str:
        return os.path.join(root, "objects", key[:2], key[2:4], key)

    if asked.setup:
        assert loaded.contract.label_task is not None
        return label_config(loaded.contract.label_task) + "\n"
    return export_tasks(
        session.database, event_id, asked.form, path_of, labeller=asked.labeller,
        open_only=not asked.all_tasks,
    )  # fmt: skip


class ImportRequest(OneRun):
    """Which files have answers for a run."""

    paths: Annotated[
        list[str], Field(min_length=1, description="Or folders: one folder per class.")
    ]
    form: Annotated[
        Literal["auto", "label_studio", "coco", "csv", "folder"],
        Field(description="What wrote them."),
    ] = "auto"
    labeller: Labeller = None


def _finish_import(shell: Shell, report: ImportReport, _asked: ImportRequest) -> int:
    if shell.is_json:
        write_json(import_files.document_of(report))
    else:
        write_line(
            f"{report.answers:,} answers of {report.files:,} files, {report.answers_new:,} of them "
            f"new; {report.attachments:,} files kept"
        )
    for problem in report.problems[:PROBLEMS_SHOWN_MAX]:
        say(problem)
    if report.refused > PROBLEMS_SHOWN_MAX:
        say(f"... and {report.refused - PROBLEMS_SHOWN_MAX:,} more were refused")
    return EXIT_INCOMPLETE if report.refused else 0


@operation(
    "label.import",
    role="operator",
    kind="change",
    route="POST /runs/{run_id}/labels",
    cli=Cli(
        positional=("run_id", "paths"),
        options={"form": ("--format",)},
        metavars={
            "run_id": "RUN", "paths": "FILE...", "labeller": "NAME",
            "form": "[auto|label_studio|coco|csv|folder]",
        },
        finish=_finish_import,
        example="drystone label import 12 project-4-at-2026-11-21.json --labeller ann",
    ),
    is_private=True,
)  # fmt: skip
def import_files(session: Session, _caller: Caller, asked: ImportRequest) -> ImportReport:
    """Bring answers from files into a run that asks people.

    The files are kept in the store, as attachment nodes of the pictures that they are about. The
    same file again adds nothing. An answer that cannot be taken costs itself: exit code 3.
    """
    files = [(path, _form_of(path, asked.form)) for path in asked.paths]
    loaded, event_id = _asked(session, asked.run_id, open_only=True)
    report = _import(session, loaded, event_id, files, asked.labeller)
    if report.answers_new:
        session.control.labels_came(asked.run_id)
    return report


def _import(
    session: Session,
    loaded: LoadedContract,
    event_id: int,
    asked: list[tuple[str, str]],
    labeller: str | None,
) -> ImportReport:
    """Import files and folders; UsageError with the reason when nothing of them was an answer."""
    from adapters import store_client
    from adapters.actions import ImportReport, import_labels

    client = store_client(session.config_path)
    total = ImportReport()
    for path, form in asked:
        # A link that a person names leads where that person wants.
        real = os.path.realpath(path)
        is_folder = os.path.isdir(real)
        report = import_labels(
            client, session.database, loaded, event_id,
            real if is_folder else os.path.dirname(real), form,
            labeller=labeller, paths=None if is_folder else [os.path.basename(real)],
        )  # fmt: skip
        total.files += report.files
        total.answers += report.answers
        total.answers_new += report.answers_new
        total.refused += report.refused
        total.attachments += report.attachments
        total.problems += report.problems
    if not total.answers:
        reason = total.problems[0] if total.problems else "there is no answer in it"
        raise UsageError(f"nothing was imported: {reason}")
    return total


def _asked(session: Session, run_id: int, *, open_only: bool = False) -> tuple[LoadedContract, int]:
    """Return the contract and the event of a run that asks people; UsageError for any other."""
    from adapters.actions import event_of_run, registered_contract

    run = session.database.runs.run(run_id)
    event = event_of_run(session.database, run_id)
    if event is None or event.type != "AC5":
        raise UsageError(
            f"run {run_id} ({run.workflow}, {run.state}) asks people nothing, or not yet; "
            "`drystone run list` names those that wait for labels"
        )
    if open_only and event.state != "open":
        raise UsageError(
            f"run {run_id} has ended ({event.state}); answers count no more. Start the action anew"
        )
    return registered_contract(session.database, event.contract_digest), event.event_id


def _form_of(path: str, form: str) -> str:
    """Return the format of a file; by its name and first character where nobody says."""
    shown = safe_text(path)
    if not os.path.exists(path):
        raise UsageError(f"there is no file {shown}")
    if form != "auto":
        return form
    if os.path.isdir(path):
        return "folder"
    extension = os.path.splitext(path)[1].lower()
    if extension == ".csv":
        return "csv"
    try:
        with open(path, "rb") as file:
            first = file.read(4_096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}") from error
    # Label Studio exports an array of tasks, COCO is one object.
    found = {b"[": "label_studio", b"{": "coco"}.get(first)
    if extension != ".json" or found is None:
        raise UsageError(f"{shown}: say what wrote it (--format label_studio, coco, csv or folder)")
    return found
