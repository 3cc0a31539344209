"""The documents of purge, pins and compaction: it owns their fields, for the engine and clients."""

from typing import Annotated

from pydantic import Field

from fsd.documents.models import Document
from fsd.documents.names import Key, Name


class PurgeRequest(Document):
    """Delete a batch with all that only it refers to, or only tell what that would be."""

    batch: Annotated[Name, Field(description="The batch that goes.")]
    dry_run: Annotated[
        bool, Field(description="Only tell what would go, and what stays and why.")
    ] = False


class PinRequest(Document):
    """Keep a stored manifest and all it names, under a name."""

    name: Annotated[Name, Field(description="What the pin is called.")]
    manifest: Annotated[Key, Field(description="The key of a stored manifest.")]


class PinStatus(Document):
    """One pinned manifest."""

    name: str
    manifest: str
    created: str


class CompactRequest(Document):
    """Write what lives in shards with much garbage into fresh ones."""

    dead_share: Annotated[
        float | None,
        Field(
            gt=0,
            le=1,
            description="Shards with this share of garbage; else that of drystone.toml.",
        ),
    ] = None


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
    small_shards: int
    """Small ones, of which a few would be made."""
    small_bytes: int
    """What lives in them, and would be written again as well."""
    waiting_shards: int
    """Already empty, to be deleted when the grace is over."""
    waiting_bytes: int
