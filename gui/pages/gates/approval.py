"""The preview of an approval: it owns what is shown before a person says yes: cost and samples."""

from __future__ import annotations

from typing import Any

from base.errors import DrystoneError
from gui.pages.gates.reading import Sample, WaitRow, samples_of
from gui.pages.runs.acts import approve, refuse
from gui.pages.scheduler.dry_run import show_dry_run
from gui.reading.desk import Desk
from gui.widgets.acts import act, dialog
from gui.widgets.blocks import attributes, box, card, clean, empty, link, notice, text
from gui.widgets.explorer_routes import picture_of


async def preview(desk: Desk, row: WaitRow) -> None:
    """Show what an approval would let happen, with a look at the nodes, and ask for the answer."""
    answer = await act(desk, "operator", "", _read, desk, row)
    if not answer:
        return
    report, samples, refused = answer

    def show() -> None:
        if refused:
            notice(f"No dry run: {refused}", "warn")
        else:
            show_dry_run(report)
        show_samples(samples)

    answers = (("Close", "", ""), ("Refuse", "refuse", ""), ("Approve", "approve", "primary"))
    said = await dialog(row.title, show, answers, "wide preview-dialog")
    if said:
        await (approve if said == "approve" else refuse)(desk, row.run_id)


def _read(desk: Desk, row: WaitRow) -> tuple[dict[str, Any], tuple[Sample, ...], str]:
    """Do the dry run of what waits, over the batch that was sealed for it; blocks."""
    from jobs import dry_run_request

    database = desk.database()
    run = database.runs.run(row.run_id)
    parameters = dict(run.parameters)
    if row.action_batch_id is not None:
        parameters |= {"action_batch_id": row.action_batch_id, "selector": None}
    samples = samples_of(database, row.action_batch_id) if row.action_batch_id else ()
    try:
        return dry_run_request(desk.config.config_path, run.workflow, parameters), samples, ""
    except DrystoneError as error:
        return {}, samples, str(error)


def show_samples(samples: tuple[Sample, ...]) -> None:
    """Show a few nodes of a batch."""
    with card("Some of its nodes"):
        if not samples:
            empty("There is nothing to look at.", "The batch has no nodes with a picture.")
            return
        with box("relatives"):
            for one in samples:
                _show_sample(one)


def _show_sample(one: Sample) -> None:
    label = clean(one.title) or f"Node {one.node_id}"
    with attributes(link("", f"/node/{one.node_id}", "relative"), title=label):
        if source := picture_of(one.key, one.media_type):
            attributes(box(tag="img"), src=source, alt="", loading="lazy")
        else:
            text(one.media_type or "no file", "ds-kind")
        text(label, "hint relative-name")
