"""What the demo shows of scraped data: it owns the chapter after the store's own.

Three real scrapes of the repository are ingested, then the database is asked across their trees.
The front door loads this module for every command, so it imports what it needs when it runs.
"""

from __future__ import annotations

import os
import shutil
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsd import Demo
    from sql import Database, Selector

SAMPLES = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "samples"
)
SCRAPES = (
    ("openclipart/artists", "gallery-dl", "artists"),
    ("openclipart/tags", "gallery-dl", "animals"),
    ("pyvideo", "pyvideo", "talks"),
)
QUERIES = (
    (
        "SVG drawings that were tagged 'animal'",
        """
version: 1
where:
  extension: svg
  ancestor:
    within: 2
    relationship: [tagged, contains]
    where: {description: "openclipart:tag:animal"}
""",
    ),
    (
        "all PNGs of the artists who drew them, from both scrapes",
        """
version: 1
where:
  extension: png
  ancestor:
    within: 2
    relationship: [authored, contains]
    where:
      child:
        relationship: authored
        where:
          parent: {relationship: tagged, where: {description: "openclipart:tag:animal"}}
order: [{by: size_bytes, descending: true}]
""",
    ),
)


def chapter(demo: Demo) -> None:
    """Ingest the sample scrapes and ask two questions across their trees."""
    from base.output import say
    from sql import Database, parse_selector

    if not os.path.isdir(SAMPLES):
        say("\nsamples/ is not here: the demo ends with the store")
        return
    config_path = os.path.join(demo.work, "drystone.toml")
    with Database.open(config_path, say) as database:
        for folder, adapter, batch in SCRAPES:
            _ingest(demo, config_path, database, folder, adapter, batch)
        for title, text in QUERIES:
            _ask(demo, database, title, parse_selector(text))


def _ingest(
    demo: Demo, config_path: str, database: Database, folder: str, adapter: str, batch: str
) -> None:
    from adapters.ingest.ingest import ingest
    from adapters.work.batch_work import Signal

    inbox = os.path.join(demo.config.area_path("3a"), batch)
    shutil.copytree(os.path.join(SAMPLES, folder), inbox)
    with demo.step(f"Ingest samples/{folder} as {adapter}") as step:
        signal = Signal(inbox, batch, adapter, "demo")
        report = ingest(config_path, signal, client=demo.client, database=database)
        step.files, step.size_bytes = report.files, report.size_bytes
        step.ok = report.quarantined == 0
        step.note = (
            f"{report.nodes_new:,} new nodes, {report.nodes_existing:,} known, "
            f"{report.edges_new:,} edges, {report.quarantined:,} quarantined"
        )


def _ask(demo: Demo, database: Database, title: str, selector: Selector) -> None:
    from base.output import say

    paths = {
        file.key: f"{batch}/{file.path}"
        for _folder, _adapter, batch in SCRAPES
        for file in demo.client.batch_files(batch)
    }
    with demo.step(f"Ask: {title}") as step:
        found = database.aggregate(selector)
        step.files, step.size_bytes, step.ok = found.count, found.size_bytes, found.count > 0
    for node in islice(database.query_nodes(selector), 3):
        say(f"    {paths[node.key]}")
