"""The commands around deleting: it owns `purge`, `compact`, `pin`, `unpin` and `pins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from base.config import find_config
from base.errors import EXIT_CODES, EXIT_FAILED
from base.options import ConfigOption, JsonOption
from base.output import say, write_json, write_line, write_table
from base.text import count_text, safe_text, size_text, time_text
from fsd.cli.companions import purge_partner
from fsd.cli.jobs import finish_job
from fsd.cli.session import connect, end_with, follow

if TYPE_CHECKING:
    from fsd.client.client import Client

app = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the pin is called.")]


@app.command(epilog=EXIT_CODES)
def purge(
    batch: Annotated[str, typer.Option("--batch", metavar="NAME", help="The batch that goes.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would go, and what stays and why.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before that.")] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Delete a batch for good, with every object that nothing else refers to.

    What other batches, published views, pinned manifests or running exports refer to stays. A batch
    that was ingested goes with all that the store has of it; the database hides its nodes first, so
    that selectors and datasets count them no more. Interrupted, the same again goes on. All
    disks have to be there. The space comes back after a grace (an hour of the engine's uptime), or
    by `drystone compact` where the batch shares shards with others. This cannot be undone.

    \b
    Example:
      drystone purge --batch flickr-2024-05 --dry-run
    """
    client, path = connect(config), find_config(config)
    partner = purge_partner()
    known = partner.plan(path, batch) if partner else None
    names = (batch,) if known is None else known
    if dry_run or not yes:
        for name in names:
            _look(client, name, json_output)
        if dry_run:
            return
        if not typer.confirm("Delete this for good?", err=True):
            raise typer.Exit(EXIT_FAILED)
    if partner and known is not None:
        # Barrier: from here on nobody counts on what may go. A crash leaves the batch `purging`.
        partner.begin(path, batch)
    for name in names:
        job = follow(client, client.purge(name).job_id)
        if json_output:
            write_json(job)
        elif job.state == "done":
            _tell(job.result, "")
        if job.state != "done":
            if partner and known is not None and partner.give_up(path, batch, known):
                say("nothing was deleted; the database shows the batch as before")
            end_with(job)
    if partner and known is not None:
        # Barrier: the store has forgotten them. A crash here leaves what it kept hidden till then.
        gone = partner.finish(path, batch)
        say(f"the database: {count_text(gone, 'node')} of {safe_text(batch)} without bytes now")


def _look(client: Client, batch: str, json_output: bool) -> None:
    job = follow(client, client.purge(batch, dry_run=True).job_id)
    lines = list(client.report(job.job_id))
    if json_output:
        for line in lines:
            write_json(line)
        write_json(job)
    elif job.state == "done":
        _tell(job.result, "would be ")
        for line in lines:
            size = size_text(line["size_bytes"])
            holder = safe_text(str(line["holder"]))
            write_line(f"  stays: {count_text(line['objects'], 'object')}, {size}: {holder}")
    if job.state != "done":
        end_with(job)


def _tell(result: dict[str, Any], would: str) -> None:
    size = size_text(result["purged_bytes"])
    write_line(
        f"{safe_text(str(result['batch']))}: {count_text(result['files'], 'file')}; "
        f"{count_text(result['purged_objects'], 'object')} ({size}) {would}deleted"
    )
    rows = [
        ("kept for others", count_text(result["kept_objects"], "object"), result["kept_bytes"]),
        (
            "free after the grace",
            count_text(result["dropped_shards"], "shard"),
            result["dropped_bytes"],
        ),
        ("left to compact", count_text(result["garbage_shards"], "shard"), result["garbage_bytes"]),
    ]
    for name, count, size_bytes in rows:
        write_line(f"  {name:<21} {count}, {size_text(size_bytes)}")
    if lost := result["lost_parts"]:
        say(
            f"lost of its list of files: {count_text(lost, 'part')}. What a file was before "
            "another content took its path is not known, and may stay"
        )


@app.command(epilog=EXIT_CODES)
def compact(
    dead_share: Annotated[
        float | None,
        typer.Option(
            "--above", min=0.01, max=1, metavar="P", help="Shards with this share of garbage."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be copied and freed.")
    ] = False,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Give the space of purged objects back: what lives beside them is written into fresh shards.

    Readers are not disturbed, and the old shards go after a grace. Interrupted or cancelled, it
    goes on with the same command again.
    """
    client = connect(config)
    if not dry_run:
        finish_job(client, client.compact(dead_share), json_output)
        return
    plan = client.compact_plan(dead_share)
    if json_output:
        write_json(plan)
        return
    write_line(
        f"to be compacted: {count_text(plan.shards, 'shard')} ({size_text(plan.shard_bytes)}); "
        f"{size_text(plan.live_bytes)} copied, {size_text(plan.garbage_bytes)} freed, of each copy"
    )
    write_line(f"{size_text(plan.store_garbage_bytes)} of garbage in all shards")
    write_line(
        f"waiting for the end of their grace: {count_text(plan.waiting_shards, 'empty shard')} "
        f"({size_text(plan.waiting_bytes)})"
    )


@app.command(epilog=EXIT_CODES)
def pin(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of a stored manifest.")],
    name: NameArgument,
    json_output: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Keep a manifest and all it names, whatever is purged, until `unpin`."""
    pinned = connect(config).pin_manifest(key, name)
    if json_output:
        write_json(pinned)
    else:
        say(f"{pinned.name} keeps {pinned.manifest} and all it names")


@app.command(epilog=EXIT_CODES)
def unpin(name: NameArgument, json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """Let a pinned manifest go; what it names may then be purged with its batch."""
    connect(config).unpin(name)
    if json_output:
        write_json({"name": name})
    else:
        say(f"{name} is not pinned any more")


@app.command(epilog=EXIT_CODES)
def pins(json_output: JsonOption = False, config: ConfigOption = None) -> None:
    """List the pinned manifests."""
    answer = connect(config).pins()
    if json_output:
        write_json(answer)
        return
    write_table(
        ("name", "manifest", "since"),
        [(one.name, one.manifest, time_text(one.created)) for one in answer],
    )
