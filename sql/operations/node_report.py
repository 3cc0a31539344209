"""How a node looks on a terminal: it owns the lines of `drystone node show`."""

from __future__ import annotations

from collections.abc import Sequence

from base.output import write_line
from base.text import size_text
from sql.datasets.node_report import LISTED_MAX, NodeReport, Row


def write_report(report: NodeReport) -> None:
    """Write a report to stdout, what is unknown left out."""
    node = report.node
    write_line(f"node        {node['node_id']}")
    write_line(f"key         {node['key']}")
    if node["description"] is not None:
        write_line(f"is          {node['description']}")
    if node["is_physical"]:
        size = f"{size_text(node['size_bytes'])} ({node['size_bytes']:,} bytes)"
        write_line(f"content     {node['media_type']}, {node['extension']}, {size}")
        flags = {"deleted": node["is_delete"], "black-listed": node["in_black_list"]}
        hidden = [word for word, is_set in flags.items() if is_set]
        if hidden:
            write_line(f"hidden      {', '.join(hidden)}")
    write_line(f"tree        {' > '.join(_name(step) for step in report.breadcrumb)}")
    _write_rows("metadata", report.metadata)
    for table, rows in report.declared.items():
        _write_rows(table, rows)
    _write_edges("parents", report.parents)
    _write_edges("children", report.children)
    _write_rows("ingest batches", report.ingest_batches)
    _write_rows("action batches", report.actions)
    _write_rows("in packages", report.archive_locations)


def _write_rows(heading: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    write_line(f"{heading}:")
    for row in rows:
        known = [f"{name}={value}" for name, value in row.items() if value is not None]
        write_line("  " + "  ".join(known))
    if len(rows) == LISTED_MAX:
        write_line(f"  ... at most {LISTED_MAX} are shown, the newest")


def _write_edges(heading: str, rows: Sequence[Row]) -> None:
    if not rows:
        return
    write_line(f"{heading}: {rows[0]['edges']:,}")
    for row in rows:
        position = "" if row["position"] is None else f" {row['position']}"
        write_line(f"  {row['relationship']}{position}  {_name(row)}")
    if len(rows) < rows[0]["edges"]:
        write_line(f"  ... and {rows[0]['edges'] - len(rows):,} more")


def _name(row: Row) -> str:
    return row["description"] or row["key"]
