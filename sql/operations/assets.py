"""Operations on assets: nodes with bytes, listed, shown, and described by people."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import say, write_line, write_table
from base.text import safe_text, size_text, time_text
from sql.database.assets import Asset, AssetPage
from sql.operations.place import Place, opened

__all__ = ["opened"]

ASSETS_MAX = 500


class AssetsQuestion(Document):
    """Which page of assets."""

    cursor: Annotated[int | None, Field(ge=0, lt=2**63, description="`next` of a page.")] = None
    limit: Annotated[int, Field(ge=1, le=ASSETS_MAX, description="At most so many.")] = 100


class OneAsset(Document):
    """Which asset."""

    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="The SHA-256 of its bytes.")]


class DescribeRequest(OneAsset):
    """What somebody says of an asset."""

    metadata: Annotated[dict[str, Any], Field(description="A field; JSON, or else text. Again.")]


def _show_page(found: AssetPage, _asked: AssetsQuestion) -> None:
    rows = [
        (
            one.system_id,
            size_text(one.size_bytes or 0),
            one.extension or "",
            one.source,
            safe_text(one.title),
        )
        for one in found.assets
    ]
    write_table(("asset", ">size", "extension", "source", "title"), rows)
    if found.next is not None:
        say(f"more with --cursor {found.next}")


def _show(one: Asset, _asked: Any) -> None:
    write_line(f"asset       {one.system_id}")
    write_line(f"bytes       {one.size_bytes:,}, {one.extension} ({one.media_type})")
    write_line(f"since       {time_text(one.create_time)}{', deleted' if one.is_deleted else ''}")
    write_line(f"title       {safe_text(one.title)}".rstrip())
    write_line(f"batches     {', '.join(map(safe_text, one.ingest_batches))}".rstrip())
    write_line(f"tags        {', '.join(map(safe_text, one.tags))}".rstrip())
    write_line(f"collections {', '.join(map(safe_text, one.collections))}".rstrip())
    write_line(f"schemas     {', '.join(one.schemas)}".rstrip())
    for name, value in one.metadata.items():
        write_line(safe_text(f"metadata    {name}={value}"))


@operation(
    "asset.list", role="guest", kind="question", route="GET /assets", cli=Cli(show=_show_page)
)
def list_assets(place: Place, _caller: Caller, asked: AssetsQuestion) -> AssetPage:
    """List assets, the newest first, without those that are deleted or black-listed.

    A guest is shown what was granted. Others are chosen by `drystone select`.
    """
    from sql.database import assets

    return assets.page(place.database, asked.cursor, asked.limit)


@operation(
    "asset.show",
    role="guest",
    kind="question",
    route="GET /assets/{key}",
    cli=Cli(positional=("key",), metavars={"key": "KEY"}, show=_show),
)
def show(place: Place, _caller: Caller, asked: OneAsset) -> Asset:
    """Show an asset: its size and type, tags, collections, and what people say of it.

    All that is known is told by `drystone node show`, where its bytes lie by `drystone head`.
    """
    from sql.database import assets

    return assets.asset(place.database, asked.key)


def _describing(*, replaces: bool) -> Cli[DescribeRequest, Asset]:
    return Cli(
        positional=("key",),
        options={"metadata": ("--set",)},
        metavars={"key": "KEY", "metadata": "NAME=VALUE"},
        files={"metadata": "--metadata"},
        pairs=("metadata",),
        show=_show,
        example=f"drystone asset {'replace' if replaces else 'describe'} KEY --set title=Gull",
    )


@operation(
    "asset.describe",
    role="operator",
    kind="change",
    route="PATCH /assets/{key}",
    cli=_describing(replaces=False),
)
def describe(place: Place, caller: Caller, asked: DescribeRequest) -> Asset:
    """Say some fields of an asset's metadata; null takes one away, the others stay.

    It is an observation with your name and its time: what was said before is kept. `title` is the
    title of the node, too. At most 64 KiB.
    """
    from sql.database import assets

    return assets.describe(place.database, asked.key, asked.metadata, caller.name, replaces=False)


@operation(
    "asset.replace",
    role="operator",
    kind="change",
    route="PUT /assets/{key}",
    cli=_describing(replaces=True),
)
def replace(place: Place, caller: Caller, asked: DescribeRequest) -> Asset:
    """Say all of an asset's metadata anew; a field that is not there is gone.

    As `asset.describe`, it is an observation, and what was said before is kept.
    """
    from sql.database import assets

    return assets.describe(place.database, asked.key, asked.metadata, caller.name, replaces=True)
