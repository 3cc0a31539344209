"""How datasets look: it owns the tables of a report, the badge of leakage, and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gui.widgets.blocks import attributes, badge, box, card, clean, link, many, text
from gui.widgets.explorer_routes import picture_of
from gui.widgets.tables import Col, table

if TYPE_CHECKING:
    from datasets import SplitsReport

CLASSES_SHOWN = 100
KINSHIP = {
    "component": "connected in trees",
    "tree": "of one tree",
    "bytes": "the same bytes",
    "near": "near-duplicates",
}
_IMAGES = frozenset(
    ["png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp", "avif", "bmp", "tif", "tiff"]
)
_VIDEOS = frozenset(["mp4", "m4v", "webm", "mkv", "mov", "avi", "ogv"])


def leak_badge(leaking: Iterable[str], splits: int) -> None:
    """Say whether something that belongs together is in two splits."""
    kinds = [KINSHIP.get(kind, kind.replace("_", " ")) for kind in leaking]
    if kinds:
        badge("leaks: " + ", ".join(kinds), "bad")
    elif splits > 1:
        badge("no leakage", "good")
    else:
        badge("one split", "muted")


def show_report(report: SplitsReport) -> None:
    """Show splits, classes, the proof of no leakage, and what was left out."""
    names = list(report.splits)
    with box("grid"):
        largest = many(report.largest_group_files, "file")
        with card("Splits", f"{many(report.groups, 'group')}, the largest has {largest}"):
            cols = (
                Col("Split", lambda one: one[0]),
                Col(">Files", lambda one: one[1].files),
                Col(">Share", lambda one: f"{one[1].share:.1%}"),
                Col(">Wanted", lambda one: f"{one[1].share_wanted:.1%}"),
            )
            table(report.splits.items(), cols, "Splits")
        _show_excluded(report.excluded)
    if report.classes:
        _show_classes(report, names)
    _show_leakage(report, names)


def _show_classes(report: SplitsReport, names: list[str]) -> None:
    hidden = len(report.classes) - CLASSES_SHOWN
    hint = f"the first {CLASSES_SHOWN:,} of {len(report.classes):,}" if hidden > 0 else ""
    with card("Class by split", hint):
        cols = (
            Col("Class", lambda one: one[0]),
            *(Col(f">{name}", lambda one, name=name: one[1].get(name, 0)) for name in names),
            Col(">All", lambda one: sum(one[1].values())),
        )
        shown = list(report.classes.items())[:CLASSES_SHOWN]
        table(shown, cols, "Files of each class in each split")
        for label, missing in list(report.missing_classes.items())[:10]:
            text(f"{label} is in no file of {', '.join(missing)}.", "hint", "p")


def _show_leakage(report: SplitsReport, names: list[str]) -> None:
    if len(names) < 2 or not report.leakage:
        return
    with card("Leakage", "what belongs together and has members in both; only the diagonal may"):
        with box("row"):
            leak_badge(report.leaking, len(names))
        rows = [
            (KINSHIP.get(kind, kind.replace("_", " ")), names[place], row)
            for kind, matrix in report.leakage.items()
            for place, row in enumerate(matrix)
        ]
        cols = (
            Col("Together in", lambda one: one[0]),
            Col("Split", lambda one: one[1]),
            *(Col(f">{name}", lambda one, place=place: one[2][place])
              for place, name in enumerate(names)),
        )  # fmt: skip
        table(rows, cols, "Leakage")


def _show_excluded(excluded: Mapping[str, int]) -> None:
    with card("Left out", f"{sum(excluded.values()):,} files" if excluded else ""):
        cols = (
            Col("Reason", lambda one: one[0].replace("_", " ")),
            Col(">Files", lambda one: one[1]),
        )
        nothing = "Nothing: everything that was found entered."
        table(excluded.items(), cols, "What was found and did not enter", nothing)
        if "pipeline_incomplete" in excluded:
            link("Which batches are in which pipeline", "/pipelines")


def show_tiles(tiles: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Show files small: key, media type, extension, what is below, and where it leads."""
    with box("relatives"):
        for key, media_type, extension, words, target in tiles:
            with attributes(box("relative", "a" if target else "div"), href=target):
                address = picture_of(key, media_type, extension=extension)
                if address:
                    attributes(box(tag="img"), src=address, alt="", loading="lazy")
                else:
                    text(media_type or extension or "file", "ds-kind")
                text(words, "ds-title")


def media_type_of(extension: str) -> str:
    """Return what kind of media an extension stands for; nothing for others."""
    lower = extension.lower()
    return "image" if lower in _IMAGES else "video" if lower in _VIDEOS else ""


def command(words: str) -> None:
    """Show a command line, and a button that copies it."""
    with box("row"):
        text(words, "command", "code")
        copy = text("Copy", "button small", "button")
        attributes(copy, type="button", data_copy=clean(words), aria_label=f"Copy {words}")


def version_link(name: str, version: int) -> None:
    """Show a link to a version."""
    link(f"{name}@{version}", f"/datasets/of/{name}@{version}")
