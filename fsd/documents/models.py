"""The documents of the control API: it owns their fields, shared by the engine and its client."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fsd.documents.names import Key, LayoutName, Name, PathText

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

    folder: Annotated[PathText, Field(description="All regular files below it.")]
    batch: Annotated[str, Field(description="Name of the batch; put again to resume it.")]
    """What the engine writes for itself begins with a dot."""
    class_name: Annotated[
        ClassName, Field(description="raw: cannot be made again. generated: can be.")
    ] = "raw"
    files: Annotated[
        tuple[str, ...] | None, Field(description="Paths below the folder; else all of it.")
    ] = None
    keep_open: Annotated[
        bool, Field(description="Leave the batch open for more puts, until it is sealed.")
    ] = False


class MaterialiseRequest(Document):
    """Make a manifest into a directory: a copy on the SSD or a view in the mount."""

    manifest: Annotated[
        PathText,
        Field(
            description='JSON Lines: {"path": "a/b.jpg", "key": "<sha256>"} or {"path": '
            '"a/b.json", "text": "..."}; `drystone ls BATCH --json` writes one. "-" reads stdin. '
            "Or the key of a manifest that was used before."
        ),
    ]
    target_id: Annotated[Name, Field(description="What it is made for.")]
    layout_id: Annotated[
        LayoutName, Field(description="Its layout; of a stage it may be a part: ID/PART.")
    ]
    mode: Annotated[
        ExportMode,
        Field(description="copy: files on the SSD. view: at once in the mount, no bytes."),
    ] = "copy"
    dedup_mode: Annotated[
        DedupMode, Field(description="by_sha256: each content once. by_node: once per node id.")
    ] = "by_node"
    allow_case_collisions: Annotated[
        bool, Field(description="Take paths that differ only in case or in accents' coding.")
    ] = False
    provenance: Annotated[
        dict[str, Provenance],
        Field(
            max_length=PROVENANCE_MAX,
            description="What it is made for, in words of your own: sealed into `_JOB.json`.",
        ),
    ] = Field(default_factory=dict[str, Provenance])


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

    target_id: Annotated[str, Field(description="The action batch.")]
    layout_id: Annotated[str, Field(description="Its layout, or a part of it: ID/PART.")]
    size_bytes: Annotated[int, Field(ge=0, description="Room to be reserved.")]
    files: Annotated[int, Field(ge=0, description="How many files it may be.")] = 0


class StageOutputAnswer(Document):
    """Where a program may write, and how much was reserved for it."""

    path: str
    quota_reservation_id: str
    reserved_bytes: int


class OutboxRoomRequest(Document):
    """Reserve room in the outbox (3B) for one package, by its name; again takes the place."""

    package: Annotated[Name, Field(description="The package's name.")]
    size_bytes: Annotated[int, Field(ge=0, description="Room to be reserved.")]
    files: Annotated[int, Field(ge=0, description="How many files it may be.")] = 0


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


class VerifyRequest(Document):
    """What to verify: one batch, a random share of the shards, or everything."""

    batch: Annotated[str | None, Field(description="The files of one batch.")] = None
    sample: Annotated[
        float | None, Field(gt=0, le=1, description="A random share of all shards, such as 0.05.")
    ] = None


class LossesRequest(Document):
    """What no disk gives; the disks named in `without` are taken for away."""

    without: Annotated[
        tuple[str, ...], Field(description="As if this disk were away too; repeatable.")
    ] = ()


class RebuildRequest(Document):
    """Make the copies whole again; `disk` is declared gone first when it is named."""

    disk: Annotated[str | None, Field(description="Declare this disk gone first.")] = None


class DiskAddRequest(Document):
    """Take a folder (a mounted filesystem's root) as a new disk."""

    path: Annotated[PathText, Field(description="The folder where the disk is mounted.")]
    name: Annotated[str | None, Field(description="Such as d5; made up when missing.")] = None


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

    disk: Annotated[str | None, Field(description="The disk's name; all disks when missing.")] = (
        None
    )
    accept: Annotated[
        bool, Field(description="Take it as it is now: ends the warning of a slow disk.")
    ] = False


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

    keys: Annotated[tuple[Key, ...], Field(max_length=KNOWN_KEYS_MAX, description="Keys.")]


class PurgedRequest(KnownRequest):
    """Ask which objects were purged by their keys, and not stored again since."""

    batch: Annotated[
        Name | None, Field(description="Only those that this batch named when they were purged.")
    ] = None


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
