"""What every page works with: the connections to store and database, and what is known of them."""

from __future__ import annotations

from gui.core.config import GuiConfig
from gui.reading.connections import Connections
from gui.reading.facet_counts import FacetCounts
from gui.reading.followed import Followed
from gui.reading.labelling import Labelling
from gui.reading.polled import polled_parts
from gui.reading.poller import Poller


class Desk(Connections):
    """The store, its database, and what is known of them; close it at the end."""

    def __init__(self, config: GuiConfig) -> None:
        super().__init__(config)
        self.facets = FacetCounts(self.database)
        self.labels = Labelling(self.database, self.control)
        parts = polled_parts(self.store, self.database, config.config_path)
        self.poller = Poller(parts, config.poll_interval_s)
        self.followed = Followed(config.poll_interval_s)

    def hurry(self) -> None:
        """Read all that is looked at soon; for whoever has just changed something."""
        self.poller.hurry()
        self.followed.hurry()

    def close(self) -> None:
        """Close everything; nothing is waited for that hangs."""
        self.poller.close()
        self.followed.close()
        super().close()
