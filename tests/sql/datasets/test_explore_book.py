"""Pages of a selector, facets beside it, and the short lists of the overview."""

from __future__ import annotations

import pytest

from sql import (
    CommonMetadata,
    Database,
    NotFoundError,
    PhysicalNode,
    SelectorError,
    WriteIntent,
    key_of,
    parse_selector,
)
from sql.core.declared import Column, DeclaredTable

EVERYTHING = parse_selector("version: 1")
KEYS = [key_of(f"file {number}") for number in range(25)]


@pytest.fixture
def filled(database: Database) -> Database:
    """25 files: 20 jpg from a, 5 mp4 from b; every fifth jpg is in a batch."""
    for source in ("a", "b"):
        database.declare(
            DeclaredTable(
                name=source,
                version=1,
                kind="source",
                comment="Test",
                columns=(Column(name="x", type="text", comment="Test"),),
            )
        )
    database.ingests.open("batch", "test", None, "/x")
    for batch, numbers in (("batch", range(0, 20, 5)), (None, range(25))):
        database.apply_intent(
            WriteIntent(
                intent_id=f"intent {batch}",
                ingest_batch=batch,
                physical_nodes=tuple(
                    PhysicalNode(key=KEYS[n], size_bytes=100, extension="jpg" if n < 20 else "mp4")
                    for n in numbers
                ),
                common_metadata=tuple(
                    CommonMetadata(
                        key=KEYS[n], source="a" if n < 20 else "b", is_root=True, title=f"Title {n}"
                    )
                    for n in numbers
                ),
            )
        )
    return database


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_give_every_node_once_in_order(filled: Database, newest_first: bool):
    seen: list[int] = []
    cursor = None
    while page := filled.explore.page(
        EVERYTHING, cursor=cursor, newest_first=newest_first, limit=7
    ):
        seen += [node.node_id for node in page]
        cursor = page[-1].node_id
    assert len(seen) == 25 and seen == sorted(seen, reverse=newest_first)


def test_a_page_shows_what_a_tile_needs(filled: Database):
    selector = parse_selector("{version: 1, where: {extension: mp4}}")
    page = filled.explore.page(selector, limit=1)
    (node,) = page
    assert (node.media_type, node.extension, node.size_bytes) == ("video", "mp4", 100)
    assert node.source == "b" and node.title.startswith("Title ")
    assert filled.explore.details([node.node_id, 10**9]) == page


def test_pages_follow_limit_and_sample(filled: Database):
    limited = parse_selector("{version: 1, limit: 5}")
    assert len(filled.explore.page(limited)) == 5
    sampled = parse_selector("{version: 1, sample: {count: 4, seed: 1}}")
    assert len(filled.explore.page(sampled)) == 4
    with pytest.raises(SelectorError):
        filled.explore.page(parse_selector("{version: 1, where: {extension: nonsense}}"))


def test_facets_count_all_nodes(filled: Database):
    facets = filled.explore.facets(EVERYTHING)
    assert (facets.nodes, facets.size_bytes) == (25, 2500)
    assert [one[:2] for one in facets.extension] == [("jpg", 20), ("mp4", 5)]
    assert [one[:2] for one in facets.media_type] == [("image", 20), ("video", 5)]
    assert [one[:2] for one in facets.source] == [("a", 20), ("b", 5)]
    assert [one[:2] for one in facets.ingest_batch] == [("batch", 4)]
    nothing = filled.explore.facets(parse_selector("{version: 1, where: {size_bytes: 1}}"))
    assert nothing.nodes == 0 and nothing.extension == ()


def test_a_node_is_reported_on(filled: Database):
    assert filled.explore.node(KEYS[0]).metadata[0]["title"] == "Title 0"
    with pytest.raises(NotFoundError):
        filled.explore.node("nothing")


def test_the_overview_lists_what_happened(filled: Database):
    filled.actions.declare_action(7, "crop", "AC4")
    node_id = filled.explore.page(EVERYTHING)[0].node_id
    batch = filled.action_context.make_sealed_batch([node_id])
    filled.actions.record_action_history(7, batch, "failed")
    late, standing = filled.overview.late(), filled.overview.standing()
    assert late.ingest_batches[0].name == "batch" and late.action_events[0].action == "crop"
    assert late.task_counts == {} and late.failed_runs == 0 and late.runs == ()
    assert (standing.action_batches[0].action_batch_id, standing.action_batches[0].node_count) == (
        batch,
        1,
    )
    assert (standing.quarantined, standing.unconfirmed_packages) == (0, 0)
