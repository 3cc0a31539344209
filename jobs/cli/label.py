"""The commands about what people answer: it owns `label show export import` of a run (AC5).

The tasks go out as a file for a labelling tool, the tool's export comes back in. The formats, and
what becomes of a bad answer, are the adapters' business.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import EXIT_CODES, EXIT_INCOMPLETE, UsageError
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import safe_text
from jobs.cli.session import RunArgument
from jobs.runs.session import Session, opened

if TYPE_CHECKING:
    from adapters.actions import ImportReport, LabelReport, LoadedContract

label_app = typer.Typer(no_args_is_help=True, help="What people are asked, and what they answer.")

PROBLEMS_SHOWN_MAX = 20
LabellerOption = Annotated[
    str | None,
    typer.Option("--labeller", metavar="NAME", help="Who said what names nobody."),
]


@label_app.command("show", epilog=EXIT_CODES)
def show(run: RunArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Tell how far the labelling of a run is, and how far people agree."""
    from adapters.actions import label_report

    with opened(config) as session:
        loaded, event_id = _asked(session, run)
        report = label_report(session.database, loaded, event_id)
    if json_output:
        write_json(report.model_dump(mode="json"))
        return
    rows = [
        ("tasks", f"{report.tasks:,}"),
        ("complete", f"{report.complete:,}"),
        ("disputed", f"{report.disputed:,}"),
        ("skipped", f"{report.skipped:,}"),
        ("hidden", f"{report.hidden:,}"),
        ("agreement", _agreement(report)),
    ]
    write_table((f"labels of run {run}", ">"), rows)


def _agreement(report: LabelReport) -> str:
    percent = report.agreement.percent
    return "-" if percent is None else f"{percent:.1f} %"


@label_app.command("export", epilog=EXIT_CODES)
def export(
    run: RunArgument,
    form: Annotated[
        Literal["label_studio", "csv"],
        typer.Option("--format", help="Tasks of Label Studio, or a table to fill in."),
    ] = "label_studio",
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Not to stdout.")] = None,
    all_tasks: Annotated[
        bool, typer.Option("--all", help="Also those that want no answer any more.")
    ] = False,
    labeller: Annotated[
        str | None,
        typer.Option("--labeller", metavar="NAME", help="What this one said nothing to yet."),
    ] = None,
    mount: Annotated[
        str | None,
        typer.Option("--mount", metavar="DIR", help="Where the tool sees the mount; else as here."),
    ] = None,
    setup: Annotated[
        bool, typer.Option("--setup", help="Instead: the XML that Label Studio is set up with.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Write the open tasks of a run as a file for a labelling tool.

    Pictures are named as they lie in the mount; `label import` finds them again by their key.
    """
    from adapters import mount_root
    from adapters.actions import export_tasks, label_config

    with opened(config) as session:
        loaded, event_id = _asked(session, run)
        root = mount if mount is not None else mount_root(session.config_path)

        def path_of(_node_id: int, key: str) -> str:
            return os.path.join(root, "objects", key[:2], key[2:4], key)

        if setup:
            assert loaded.contract.label_task is not None
            text = label_config(loaded.contract.label_task) + "\n"
        else:
            text = export_tasks(
                session.database, event_id, form, path_of, labeller=labeller,
                open_only=not all_tasks,
            )  # fmt: skip
    if out is None:
        for line in text.removesuffix("\n").split("\n"):
            write_line(line)
        return
    try:
        with open(out, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{safe_text(out)} cannot be written: {error.strerror}") from error


@label_app.command("import", epilog=EXIT_CODES)
def import_files(
    run: RunArgument,
    paths: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Or folders: one folder per class.")
    ],
    form: Annotated[
        Literal["auto", "label_studio", "coco", "csv", "folder"],
        typer.Option("--format", help="What wrote them."),
    ] = "auto",
    labeller: LabellerOption = None,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Bring answers from files into a run that asks people.

    The files are kept in the store, as attachment nodes of the pictures that they are about. The
    same file again adds nothing. An answer that cannot be taken costs itself: exit code 3.

    \b
    Example:
      drystone label import 12 project-4-at-2026-11-21.json --labeller ann
    """
    asked = [(path, _form_of(path, form)) for path in paths]
    with opened(config) as session:
        loaded, event_id = _asked(session, run, open_only=True)
        report = _import(session, loaded, event_id, asked, labeller)
        if report.answers_new:
            session.control.labels_came(run)
    if json_output:
        write_json(asdict(report))
    else:
        write_line(
            f"{report.answers:,} answers of {report.files:,} files, {report.answers_new:,} of them "
            f"new; {report.attachments:,} files kept"
        )
    for problem in report.problems[:PROBLEMS_SHOWN_MAX]:
        say(problem)
    if report.refused > PROBLEMS_SHOWN_MAX:
        say(f"... and {report.refused - PROBLEMS_SHOWN_MAX:,} more were refused")
    if report.refused:
        raise typer.Exit(EXIT_INCOMPLETE)


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
