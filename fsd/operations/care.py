"""Operations that look after what is stored: verification, rebuilding, the index, losses."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from base.errors import EXIT_FAILED, EXIT_INCOMPLETE
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import list_some, say, write_json, write_line
from base.text import count_text, duration_text, size_text, time_text
from fsd.documents.models import (
    Document,
    JobStatus,
    LossesRequest,
    RebuildRequest,
    VerifyRequest,
)
from fsd.documents.watch_models import AlertResult, ScrubStatus
from fsd.operations import disks
from fsd.operations.jobs import exit_code_of, finish_job, follow, job_summary, report_of
from fsd.operations.look import capacity, health
from fsd.operations.place import ask
from fsd.operations.progress import problem_text

if TYPE_CHECKING:
    from fsd.documents.models import DiskStatus
    from fsd.operations.place import Serving


# ---- Verification --------------------------------------------------------------------------------


class VerifyWish(VerifyRequest):
    """What to verify, said whole."""

    everything: Annotated[bool, Field(description="Every byte of every copy.")] = False

    @model_validator(mode="after")
    def _one(self) -> VerifyWish:
        if (self.batch is not None) + (self.sample is not None) + self.everything != 1:
            raise ValueError("say what to verify: --batch NAME, --sample 0.05 or --all")
        return self


@operation(
    "storage.verify",
    role="operator",
    kind="work",
    route="POST /storage/verify",
    cli=Cli(
        command="verify",
        options={"everything": ("--all",)},
        metavars={"batch": "NAME", "sample": "P"},
        finish=finish_job,
    ),
)
def verify(place: Serving, _caller: Caller, asked: VerifyWish) -> JobStatus:
    """Compare copies on the disks with their checksums.

    What is found damaged is replaced from a good copy by itself, soon afterwards.
    """
    return place.engine.verify(asked).status()


def _show_scrub(answer: ScrubStatus, _asked: Any) -> None:
    limit = f"{size_text(answer.rate_limit_bytes_per_s)}/s a disk"
    if answer.next_shard:
        due = time_text(answer.next_due) if answer.next_due else ""
        following = f"shard {answer.next_shard} on {answer.next_disk}, due {due}"
    else:
        following = "nothing is stored yet"
    finished = answer.last_round_finished
    rows = [
        ("background", f"at most {limit}" if answer.enabled else "off (scrub_rate_bytes_per_s)"),
        ("copies", f"{answer.replicas:,} (of shards), {size_text(answer.total_bytes)}"),
        ("never scrubbed", f"{answer.never_scrubbed:,} of them"),
        ("due now", f"{answer.due_replicas:,}, {size_text(answer.overdue_bytes)}"),
        ("oldest proof", f"{duration_text(answer.oldest_age_s)} ago"),
        (
            "rate",
            f"{size_text(answer.rate_bytes_per_s)}/s on {', '.join(answer.running)}"
            if answer.running
            else "nothing is read just now",
        ),
        ("next", following),
        ("last round", f"finished {time_text(finished)}" if finished else "none finished yet"),
        ("damaged copies", f"{answer.damaged_replicas:,}"),
    ]
    for name, value in rows:
        write_line(f"{name:<15} {value}")
    if answer.losses:
        say(
            f"lost: {count_text(answer.lost_objects, 'object')} that no copy gives "
            "(drystone losses lists all):"
        )
        list_some(answer.losses, answer.lost_objects)


@operation(
    "storage.scrub",
    role="operator",
    kind="work",
    route="POST /storage/scrub",
    cli=Cli(command="scrub --now", is_shown=False, finish=finish_job),
)
def scrub(place: Serving, _caller: Caller, _asked: NoRequest) -> JobStatus:
    """Verify all that is due now, at full speed."""
    return place.engine.watch.scrub_now().status()


@operation(
    "storage.scrub_status",
    role="viewer",
    kind="question",
    route="GET /storage/scrub",
    cli=Cli(
        command="scrub",
        switches={"now": scrub},
        show=_show_scrub,
        exit_code=lambda answer, _: EXIT_INCOMPLETE if answer.losses else 0,
    ),
)
def scrub_status(place: Serving, _caller: Caller, _asked: NoRequest) -> ScrubStatus:
    """Tell how much is due to be verified.

    The engine reads every copy again in the background (every 30 days, set in drystone.toml) and
    replaces what is damaged from a good copy. Exit code 3 when something is lost.
    """
    return place.engine.watch.scrubber.status()


# ---- Copies --------------------------------------------------------------------------------------


class RebuildPlan(Document):
    """What a rebuild would do, and what would be lost with the disk that is named."""

    disk: str | None
    disk_shards: int
    disk_stored_bytes: int
    lost_objects: int
    lost_bytes: int
    sole_away: tuple[str, ...]
    rebuild_queue_shards: int
    usable_bytes: int


def _show_plan(plan: RebuildPlan, _asked: RebuildRequest) -> None:
    if plan.disk is not None:
        size, shards = size_text(plan.disk_stored_bytes), count_text(plan.disk_shards, "shard")
        write_line(f"{plan.disk} would be declared gone: {shards}, {size}")
    write_line(f"waiting for a copy now: {count_text(plan.rebuild_queue_shards, 'shard')}")
    write_line(f"room for {size_text(plan.usable_bytes)} more at the full number of copies")


def _tell_loss_first(shell: Shell, asked: RebuildRequest) -> RebuildRequest:
    if asked.disk is not None and not shell.is_json:
        disks.tell_loss(ask(shell, disks.removal, disk=asked.disk))
    return asked


@operation(
    "storage.rebuild_plan",
    role="viewer",
    kind="question",
    route="GET /storage/rebuild",
    cli=Cli(command="rebuild", is_shown=False, show=_show_plan, before=_tell_loss_first),
)
def rebuild_plan(place: Serving, caller: Caller, asked: RebuildRequest) -> RebuildPlan:
    """Tell what a rebuild would copy."""
    chosen = leaving = None
    if asked.disk is not None:
        leaving = disks.removal(place, caller, disks.OneDisk(disk=asked.disk))
        chosen = disks.status_of(place, leaving.disk_id)
    return RebuildPlan(
        disk=chosen.name if chosen else None,
        disk_shards=chosen.shards if chosen else 0,
        disk_stored_bytes=chosen.stored_bytes if chosen else 0,
        lost_objects=leaving.sole_objects if leaving else 0,
        lost_bytes=leaving.sole_bytes if leaving else 0,
        sole_away=leaving.sole_away if leaving else (),
        rebuild_queue_shards=health(place, caller, NoRequest()).rebuild_queue,
        usable_bytes=capacity(place, caller, NoRequest()).usable_bytes,
    )


def _ask_before_rebuild(shell: Shell, asked: RebuildRequest) -> RebuildRequest:
    if asked.disk is None:
        return asked
    answer = ask(shell, disks.removal, disk=asked.disk)
    if answer.state not in ("gone", "retired"):
        chosen = next(d for d in ask(shell, disks.list_disks) if d.disk_id == answer.disk_id)
        _tell_removal(chosen, answer)
        shell.confirm()
    return asked


def _tell_removal(disk: DiskStatus, answer: Any) -> None:
    """Say what becomes of what a disk holds when it is declared gone."""
    say(f"{disk.name} ({disk.path}, {disk.state}) will be declared gone:")
    if not disk.stored_bytes:
        say("  it holds nothing that counts.")
    elif disk.stored_bytes > answer.sole_bytes:
        size = size_text(disk.stored_bytes - answer.sole_bytes)
        say(f"  {size} of what it holds is on other disks too, and is copied again from there.")
    disks.tell_loss(answer)
    say(f"  if it comes back after all: drystone disk add {quote(disk.path)}")


@operation(
    "storage.rebuild",
    role="operator",
    kind="work",
    route="POST /storage/rebuild",
    cli=Cli(
        command="rebuild",
        metavars={"disk": "DISK"},
        dry_run=rebuild_plan,
        before=_ask_before_rebuild,
        is_asked_before=True,
        finish=finish_job,
        example="drystone rebuild --disk d2   # when the disk d2 has died",
    ),
)
def rebuild(place: Serving, _caller: Caller, asked: RebuildRequest) -> JobStatus:
    """Make the copies whole again."""
    return place.engine.rebuild(asked).status()


# ---- Index and catalogs --------------------------------------------------------------------------


@operation(
    "storage.reindex",
    role="operator",
    kind="work",
    route="POST /storage/reindex",
    cli=Cli(command="reindex", finish=finish_job),
)
def reindex(place: Serving, _caller: Caller, _asked: NoRequest) -> JobStatus:
    """Build a new index from the disks alone.

    As after the loss of the SSD. Nothing on the disks is changed.
    """
    return place.engine.reindex().status()


@operation(
    "storage.fsck",
    role="operator",
    kind="work",
    route="POST /storage/fsck",
    cli=Cli(command="fsck", finish=finish_job),
)
def fsck(place: Serving, _caller: Caller, _asked: NoRequest) -> JobStatus:
    """Compare index, catalogs and shards.

    Changes nothing; `verify` also reads the contents.
    """
    return place.engine.fsck().status()


# ---- Losses and alerts ---------------------------------------------------------------------------


def _finish_losses(shell: Shell, begun: JobStatus, _asked: LossesRequest) -> int:
    job = follow(shell.place, begun.job_id)
    for line in report_of(shell, job.job_id):
        if shell.is_json:
            write_json(line)
        else:
            write_line(f"{line.get('batch') or line.get('named_by')}: {problem_text(line)}")
    if shell.is_json:
        write_json(job)
    else:
        say(job_summary(job))
    return exit_code_of(job)


@operation(
    "storage.losses",
    role="operator",
    kind="work",
    route="POST /storage/losses",
    cli=Cli(command="losses", metavars={"without": "DISK"}, finish=_finish_losses),
)
def losses(place: Serving, _caller: Caller, asked: LossesRequest) -> JobStatus:
    """List every file that no disk gives, and why.

    Exit code 3 when there are any.
    """
    return place.engine.watch.losses(asked.without).status()


def _show_results(results: list[AlertResult], _asked: NoRequest) -> None:
    for result in results:
        write_line(f"{result.channel:<8} {'taken' if result.sent else result.detail}")


@operation(
    "alerts.test",
    role="operator",
    kind="change",
    route="POST /storage/alerts/test",
    cli=Cli(
        show=_show_results,
        exit_code=lambda found, _: 0 if all(one.sent for one in found) else EXIT_FAILED,
    ),
)
def alerts_test(place: Serving, _caller: Caller, _asked: NoRequest) -> list[AlertResult]:
    """Send a test alert to the command and the webhook of drystone.toml."""
    return place.engine.watch.alerts.test()
