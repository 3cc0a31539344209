"""The documents of purge, pins and compaction: it owns their fields, for the engine and clients."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from fsd.documents.models import Document
from fsd.documents.names import Key, Name

KEYS_MAX = 100_000
"""Of one purge: the catalog keeps them for ever."""


class PurgeRequest(Document):
    """Delete a batch with all that only it refers to, or single objects; or only tell of it."""

    batch: Annotated[Name | None, Field(description="The batch that goes.")] = None
    keys: Annotated[
        tuple[Key, ...],
        Field(description="Keys of the objects that go, in place of a batch.", max_length=KEYS_MAX),
    ] = ()
    dry_run: Annotated[
        bool, Field(description="Only tell what would go, and what stays and why.")
    ] = False

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.batch is None) == (not self.keys):
            raise ValueError("name a batch that goes, or keys")
        return self


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
