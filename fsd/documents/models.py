"""The documents of the control API: it owns their fields, shared by the engine and its client."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

ClassName = Literal["raw", "generated"]
ExportMode = Literal["copy", "view"]
DedupMode = Literal["by_sha256", "by_node"]
ViewKind = Literal["stage", "exports", "browse"]
JobState = Literal["running", "done", "incomplete", "failed", "cancelled"]


KNOWN_KEYS_MAX = 10_000
"""Keys in one question."""
PROVENANCE_MAX = 32
PROVENANCE_LENGTH_MAX = 4_000
Provenance = Annotated[str, StringConstraints(max_length=PROVENANCE_LENGTH_MAX)] | int | None


class Document(BaseModel):
    """Root of all documents: unknown fields are refused, values are frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BatchWriteRequest(Document):
    """Store every file of a folder, or the listed files of it, as one ingest batch."""

    folder: str
    batch: str
    class_name: ClassName = "raw"
    files: tuple[str, ...] | None = None
    """Paths relative to `folder`; None takes all of it."""


class MaterialiseRequest(Document):
    """Make a manifest into a directory: a copy on the SSD or a view in the mount."""

    manifest: str
    """The path of a JSON Lines file the engine can read, or the key of a stored manifest."""
    target_id: str
    layout_id: str
    """Of a stage it may be a part of one: `shrinker/0`."""
    mode: ExportMode = "copy"
    dedup_mode: DedupMode = "by_node"
    allow_case_collisions: bool = False
    """Take paths that differ only in case: they collide on other systems, not on this one."""
    provenance: Annotated[dict[str, Provenance], Field(max_length=PROVENANCE_MAX)] = Field(
        default_factory=dict[str, Provenance]
    )
    """What it is made for, in the caller's words: sealed into `_JOB.json`."""


class MaterialiseAnswer(Document):
    """What a stage or export will be, before its bytes are there."""

    job_id: str
    target_root: str
    expected_bytes: int
    expected_files: int
    quota_reservation_id: str | None
    manifest_key: str


class StageOutputRequest(Document):
    """Make the folder that a program writes into, `3c/<target>/<layout>.output/`, with room."""

    target_id: str
    layout_id: str
    size_bytes: int = Field(ge=0)
    files: int = Field(default=0, ge=0)


class StageOutputAnswer(Document):
    """Where a program may write, and how much was reserved for it."""

    path: str
    quota_reservation_id: str
    reserved_bytes: int


class OutboxRoomRequest(Document):
    """Reserve room in the outbox (3B) for one package, by its name; again takes the place."""

    package: str
    size_bytes: int = Field(ge=0)
    files: int = Field(default=0, ge=0)


class JobStatus(Document):
    """One long operation. `done_*` over `total_*` is its progress, in its own units."""

    job_id: str
    kind: str
    state: JobState
    description: str = ""
    started: str
    finished: str | None = None
    done_files: int = 0
    total_files: int = 0
    done_bytes: int = 0
    total_bytes: int = 0
    rate_bytes_per_s: float = 0.0
    eta_s: float | None = None
    phase: str = ""
    error: str | None = None
    result: dict[str, Any] = Field(default_factory=dict[str, Any])


class PutLine(Document):
    """One line of a put's report: what became of one file."""

    path: str
    key: str | None = None
    size_bytes: int | None = None
    status: Literal["existing", "written", "skipped", "failed"]
    copies: int = 0
    copies_target: int = 0
    reason: str | None = None


class ObjectHead(Document):
    """What the store knows of one object, without reading it."""

    key: str
    size_bytes: int
    class_name: ClassName
    shard_id: str
    offset: int
    copies: int
    copies_target: int
    disks: tuple[str, ...]


class GetRequest(Document):
    """Write one object, verified, to a file that must not exist yet."""

    key: str
    output_path: str


class VerifyRequest(Document):
    """What to verify: one batch, a random share of the shards, or everything."""

    batch: str | None = None
    sample: float | None = Field(default=None, gt=0, le=1)


class LossesRequest(Document):
    """What no disk gives; the disks named in `without` are taken for away."""

    without: tuple[str, ...] = ()


class RebuildRequest(Document):
    """Make the copies whole again; `disk` is declared gone first when it is named."""

    disk: str | None = None


class DiskAddRequest(Document):
    """Take a folder (a mounted filesystem's root) as a new disk."""

    path: str
    name: str | None = None


class DiskModelStatus(Document):
    """How fast a disk reads, as it was measured; the seeks hold half a turn.

    Seeks of files far apart take `average_seek_s` in the mean, none longer than `seek_max_s` over
    `span_bytes`, which is how far apart they lay. `best_*` is the best that was ever measured.
    """

    bandwidth_bytes_per_s: float
    average_seek_s: float
    seek_min_s: float
    seek_max_s: float
    span_bytes: int
    measured: str
    best_bandwidth_bytes_per_s: float
    best: str


class DiskStatus(Document):
    """One disk as the engine sees it."""

    disk_id: str
    name: str
    path: str
    state: Literal["online", "readonly", "missing", "gone", "draining", "retired"]
    reason: str = ""
    failure_domain: str = ""
    size_bytes: int = 0
    free_bytes: int = 0
    shards: int = 0
    stored_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    errors: int = 0
    late_reads: int = 0
    """Single reads that another disk was asked for too, because this one was late."""
    last_error: str = ""
    health: Literal["ok", "suspect", "failing"] = "ok"
    health_reason: str = ""
    model: DiskModelStatus | None = None
    """None until it was measured."""


class CalibrateRequest(Document):
    """Measure how fast a disk reads; None measures all of them.

    `accept` forgets the best that was ever measured: a disk that is slower now is no news then.
    """

    disk: str | None = None
    accept: bool = False


class RetireRequest(Document):
    """Never use a disk again; `force` also when the store is not whole without it.

    With `lost_shards_max` it is refused when more would be lost by then: as many as were told.
    """

    force: bool = False
    lost_shards_max: int | None = Field(default=None, ge=0)


class ReplaceRequest(Document):
    """Put a new disk in the place of an old one, which is emptied and retired, or rebuilt."""

    path: str
    name: str | None = None


class RemovalAnswer(Document):
    """Whether a disk can be taken away: `safe` when every shard has its copies without it.

    `sole_*` is what would be lost with it, `short_*` what would have too few copies. `sole_away`
    are the names of missing disks that may have something of the former still.
    """

    disk_id: str
    name: str
    state: str
    safe: bool
    sole_shards: int
    sole_bytes: int
    sole_objects: int
    sole_away: tuple[str, ...] = ()
    short_shards: int
    short_bytes: int
    listed_shards: tuple[str, ...]
    reason: str
    advice: str


class DiskFill(Document):
    """How full a disk is, 0 to 1, now and after a rebalance."""

    name: str
    stored_bytes: int
    fill: float
    fill_after: float


class RebalancePlan(Document):
    """What a rebalance would do; `level` is how full all disks together are."""

    moves: int
    move_bytes: int
    level: float
    disks: tuple[DiskFill, ...]


class AreaStatus(Document):
    """One SSD area: a soft quota of one partition. `state` counts what is reserved, too.

    `refuses` says that nothing more is promised there, because what lies there is so much alone.
    """

    area: str
    path: str
    quota_bytes: int
    used_bytes: int
    reserved_bytes: int
    files: int
    state: Literal["ok", "warn", "refuse", "emergency"]
    refuses: bool = False
    limit_bytes: int = 0
    """The most that can ever be promised there: the quota, or what new jobs may fill of the SSD."""


class Capacity(Document):
    """What fits: usable bytes at the copies target, now and after losing any one disk.

    In both cases once all copies that are missing then are made again.
    """

    copies: int
    objects: int
    payload_bytes: int
    usable_bytes: int
    usable_after_loss_bytes: int
    worst_loss: str | None
    unplaced_after_loss_bytes: int = 0
    """Of the copies that the worst loss takes away, what the other disks have no room for."""
    partition_fill: float
    partition_state: str
    advice: tuple[str, ...]
    disks: tuple[DiskStatus, ...]
    areas: tuple[AreaStatus, ...]


class Notice(Document):
    """One thing a person should know, and what to do about it.

    `subject` is the disk or area it is about, if it is about one: with `code` it tells one from
    another, whatever the message says.
    """

    code: str
    subject: str = ""
    severity: Literal["info", "warning", "critical"]
    message: str
    advice: str


class Health(Document):
    """Whether all is well: `ok`, `degraded` (readable, not whole) or `failed` (losses).

    Lost is what no disk gives now, whether its disks are only away or not.
    """

    state: Literal["ok", "degraded", "failed"]
    store_id: str
    version: str
    epoch: int
    started: str
    objects: int
    shards: int
    batches: int
    views: int
    replication_lag_bytes: int
    replication_lag_oldest_s: float
    single_copy_bytes: int
    unreadable_shards: int
    rebuild_queue: int
    running_jobs: int
    index_bytes: int
    memory_anonymous_bytes: int
    last_errors: tuple[str, ...]
    disks: tuple[DiskStatus, ...]
    warnings: tuple[Notice, ...]


class KnownRequest(Document):
    """Ask which objects the store has, by their keys."""

    keys: tuple[str, ...] = Field(max_length=KNOWN_KEYS_MAX)


class BatchStatus(Document):
    """One ingest batch."""

    batch: str
    class_name: ClassName
    created: str
    sealed: bool
    files: int
    size_bytes: int


class BatchFile(Document):
    """One path of a batch."""

    path: str
    key: str
    size_bytes: int


class ViewStatus(Document):
    """One published view: `name` is its path below the mount."""

    name: str
    kind: ViewKind
    view_id: str
    layout_id: str
    manifest_key: str
    created: str
    files: int
    size_bytes: int


class ErrorAnswer(Document):
    """How the API says no: the error's class name, its message and the exit code it means."""

    error: str
    message: str
    exit_code: int = 1
