"""The documents of watching the disks: it owns their fields, for the engine and its client."""

from fsd.documents.models import Document


class ScrubStatus(Document):
    """The debt of the scrub. Ages and sizes are of replicas, times are UTC time stamps."""

    enabled: bool
    interval_days: float
    rate_limit_bytes_per_s: int
    """Of each disk."""
    replicas: int
    never_scrubbed: int
    total_bytes: int
    due_replicas: int
    overdue_bytes: int
    oldest_age_s: float
    """Since the bytes of some replica were last known to be right."""
    oldest_shard: str | None
    rate_bytes_per_s: float
    """As measured over the last minute, all disks together."""
    next_shard: str | None
    next_disk: str | None
    next_due: str | None
    running: tuple[str, ...]
    last_round_finished: str | None
    """When nothing was due any more."""
    damaged_replicas: int
    """Found by scrubbing and not healed yet."""
    losses: tuple[str, ...]
    """The first objects that no replica gives: `batch: path`, or the key of a nameless one."""
    lost_objects: int
    """How many they are."""


class AlertResult(Document):
    """Whether a test alert was taken, by the command or the webhook."""

    channel: str
    sent: bool
    detail: str = ""
