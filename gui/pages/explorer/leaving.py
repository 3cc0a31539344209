"""What chosen nodes become for others: a zip or a folder of their files, and what is shared."""

from __future__ import annotations

from typing import Any

from gui.core.filters import Document
from gui.reading.desk import Desk
from gui.widgets.acts import ask, confirm, dialog, operate, tell
from gui.widgets.blocks import at, attributes, many, text, written

GRANT_FIELDS = ("collection", "account", "group", "level", "until", "with_metadata")
LINK_FIELDS = ("collection", "until", "level")
_LINES = (
    "They are added to a collection, and that is shared: whoever sees it sees also what is added "
    "to it later.",
)


async def make_folder(desk: Desk, chosen: Document, words: str) -> None:
    """Let the store make a folder of their files."""
    one = desk.operation("node.export")
    asked = await ask(
        f"A folder of {words}", one.request, "Make it", given={"selector": chosen},
        lines=["Files are called as they were when they came in."], fields=("folder_id", "mode"),
    )  # fmt: skip
    if asked is None:
        return
    made = await operate(desk, "node.export", asked.model_dump(exclude_unset=True))
    if made is None:
        return

    def build() -> None:
        text(f"{made.files:,} files. The folder appears when all of it is there; the page Storage "
             "shows how far it is.", tag="p")  # fmt: skip
        written(made.target_root, "Folder")
        attributes(text("Copy", "button", "button"), type="button", data_copy=made.target_root)

    await dialog("The folder is being made", build, (("Close", True, ""),), "wide")


async def share(desk: Desk, chosen: Document, words: str, name: str) -> None:
    """Grant an account or a group a collection of chosen nodes."""
    one = desk.operation("grant.add")
    asked = await ask(
        f"Share {words}", one.request, "Grant it", lines=_LINES, given={"collection": name},
        fields=GRANT_FIELDS,
    )  # fmt: skip
    if asked is not None:
        await _shared(desk, chosen, "grant.add", asked.model_dump(exclude_unset=True))


async def share_by_link(desk: Desk, chosen: Document, words: str, name: str) -> None:
    """Make a link to a collection of chosen nodes, and show it, once."""
    one = desk.operation("grant.link")
    asked = await ask(
        f"Share {words} by a link", one.request, "Make the link", given={"collection": name},
        lines=[*_LINES, "Whoever has the link needs no account."], fields=LINK_FIELDS,
    )  # fmt: skip
    if asked is None:
        return
    made = await _shared(desk, chosen, "grant.link", asked.model_dump(exclude_unset=True))
    if made is not None:
        await _show_link(made)


async def link_node(desk: Desk, key: str, title: str) -> None:
    """Make a link to a node, and show it, once."""
    one = desk.operation("grant.link")
    asked = await ask(
        f"Share {title} by a link"[:120], one.request, "Make the link", given={"node": key},
        lines=["Whoever has the link sees it, and what lies below it, without an account.",
               "With export they may take the files, too; viewer shows their pictures."],
        fields=("until", "level"),
    )  # fmt: skip
    if asked is None:
        return
    made = await operate(desk, "grant.link", asked.model_dump(exclude_unset=True))
    if made is not None:
        await _show_link(made)


async def _show_link(made: Any) -> None:
    def build() -> None:
        text(f"It is shown now and never again, and holds until {at(made.expires_at)}.", tag="p")
        written(made.path, "Link")
        copy = attributes(text("Copy", "button", "button"), type="button", data_copy=made.path)
        attributes(copy, data_copy_address=True)

    await dialog("The link", build, (("Close", True, ""),), "wide")


async def _shared(desk: Desk, chosen: Document, name: str, asked: dict[str, Any]) -> Any:
    """Share a collection, then add to it; what was done before something failed is told."""
    collection = asked.get("collection")
    if not collection:
        tell("Say what the collection is to be called.", bad=True)
        return None
    known = await operate(desk, "collection.list", {})
    if known is None:
        return None
    # Whoever it is shared with sees what is in it already, too.
    held = sum(one.nodes for one in known if one.name == collection)
    if held:
        title = f"{collection} has {many(held, 'node')} already"
        if not await confirm(title, ["They are shared as well."], "Share all of it"):
            return None
    if await operate(desk, "collection.create", {"name": collection}) is None:
        return None
    # Shared while there is nothing new in it: a grant that fails has changed nothing that is seen.
    made = await operate(desk, name, asked)
    if made is None:
        return None
    added = {"name": collection, "selector": chosen}
    if await operate(desk, "collection.add", added, lambda answer: answer.told) is None:
        tell(
            f"{collection} is shared, but the nodes were not added to it: try that again.", bad=True
        )
        return None
    return made
