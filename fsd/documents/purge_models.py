"""The documents of purge, pins and compaction: it owns their fields, for the engine and clients."""

from pydantic import Field

from fsd.documents.models import Document


class PurgeRequest(Document):
    """Delete a batch with all that only it refers to, or only tell what that would be."""

    batch: str
    dry_run: bool = False


class PinRequest(Document):
    """Keep a stored manifest and all it names, under a name."""

    name: str
    manifest: str
    """The key of the manifest's object."""


class PinStatus(Document):
    """One pinned manifest."""

    name: str
    manifest: str
    created: str


class CompactRequest(Document):
    """Write what lives in shards with much garbage into fresh ones."""

    dead_share: float | None = Field(default=None, gt=0, le=1)
    """Shards with at least this share of dead bytes; None takes the one of drystone.toml."""


class CompactPlan(Document):
    """What a compaction would do; sizes are of one copy."""

    shards: int
    shard_bytes: int
    live_bytes: int
    """What would be written again."""
    garbage_bytes: int
    """What becomes free."""
    store_garbage_bytes: int
    """All garbage there is, also in shards with too little of it."""
    waiting_shards: int
    """Already empty, to be deleted when the grace is over."""
    waiting_bytes: int
