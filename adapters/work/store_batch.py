"""Storing a folder of our own: it owns that all of it arrived, or a clear word why not."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any, Literal

from adapters.records.errors import AdapterError
from base.text import safe_text
from fsd import Client

REASONS_SHOWN_MAX = 5


def store_batch(
    client: Client,
    folder: str,
    batch: str,
    files: list[str] | None = None,
    class_name: Literal["raw", "generated"] = "raw",
) -> dict[str, Any]:
    """Store a folder, or the listed paths of it; returns the counts of the job.

    AdapterError when any file of it is not stored.
    """
    job = client.wait(client.batch_write(folder, batch, class_name, files).job_id)
    if job.state != "done" or job.result.get("failed") or job.result.get("skipped"):
        lines = (line for line in client.report(job.job_id) if line.get("reason"))
        reasons = [
            f"{safe_text(line['path'])}: {line['reason']}"
            for line in islice(lines, REASONS_SHOWN_MAX)
        ]
        said = "; ".join([job.error or job.state, *reasons])
        raise AdapterError(
            f"the store did not take all of {batch}: {said} "
            "(see `drystone health`, put that right and run it again)"
        )
    return job.result


def wait_for_former(client: Client, batches: Collection[str]) -> None:
    """Let the jobs end that a killed run left in the engine: they still read its folder."""
    for job in client.jobs():
        if job.state == "running" and job.description.partition(" from ")[0] in batches:
            client.wait(job.job_id)
