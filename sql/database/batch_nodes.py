"""Whether an ingest batch has a node of a selector: which events about batches somebody wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sql.core.errors import GuestError, QueryTimeoutError, SelectorError, StatementError
from sql.core.transactions import Transactions
from sql.selector import select
from sql.selector.document import read_selector


def may_have_selected(database: Transactions, where: Mapping[str, Any], batch: str) -> bool:
    """Tell whether a node of a batch, hidden or not, fulfils a condition, as whoever asks sees it.

    True as well where that cannot be found out now: what the condition names is gone, is nothing
    that a guest may ask for, or it takes too long.
    """
    document = {
        "version": 1, "where": {"all": [where, {"ingest_batch": batch}]}, "limit": 1,
        "include_deleted": True, "include_blacklisted": True,
    }  # fmt: skip
    try:
        with database.reading() as connection:
            found = select.query_nodes(connection, read_selector(document))
            return next(found, None) is not None
    except (GuestError, SelectorError, StatementError, QueryTimeoutError):
        return True
