"""The books of a database: it owns the list of nouns that have more to say than one method.

Each book takes the database and has a module of its own, loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sql.core.transactions import Transactions

if TYPE_CHECKING:
    from sql.actions.action_book import ActionBook
    from sql.actions.action_context import ActionContext
    from sql.actions.label_book import LabelBook
    from sql.actions.pipeline_book import PipelineBook
    from sql.datasets.dataset_book import DatasetBook
    from sql.datasets.explore_book import ExploreBook
    from sql.datasets.thumbnail_book import ThumbnailBook
    from sql.intent.cold_book import ColdBook
    from sql.people.request_book import RequestBook
    from sql.people.user_book import UserBook
    from sql.runs.event_book import EventBook
    from sql.runs.overview_book import OverviewBook
    from sql.runs.run_book import RunBook
    from sql.runs.run_summary_book import RunSummaryBook
    from sql.runs.schedule_book import ScheduleBook


class Books(Transactions):
    """A database as its books see it."""

    @property
    def runs(self) -> RunBook:
        """Runs, their tasks, queues and gates."""
        from sql.runs.run_book import RunBook

        return RunBook(self)

    @property
    def run_summary(self) -> RunSummaryBook:
        """Many runs and batches seen together."""
        from sql.runs.run_summary_book import RunSummaryBook

        return RunSummaryBook(self)

    @property
    def events(self) -> EventBook:
        """The outbox: what happened, and who is told."""
        from sql.runs.event_book import EventBook

        return EventBook(self)

    @property
    def users(self) -> UserBook:
        """People of the browser's side, their sessions, tokens and saved views."""
        from sql.people.user_book import UserBook

        return UserBook(self)

    @property
    def explore(self) -> ExploreBook:
        """Pages of a selector, and counts beside it."""
        from sql.datasets.explore_book import ExploreBook

        return ExploreBook(self)

    @property
    def overview(self) -> OverviewBook:
        """Short lists of what is going on."""
        from sql.runs.overview_book import OverviewBook

        return OverviewBook(self)

    @property
    def requests(self) -> RequestBook:
        """Requests that carry a key, and what came of them."""
        from sql.people.request_book import RequestBook

        return RequestBook(self)

    @property
    def schedules(self) -> ScheduleBook:
        """What the clock asks for, and what became of each time."""
        from sql.runs.schedule_book import ScheduleBook

        return ScheduleBook(self)

    @property
    def datasets(self) -> DatasetBook:
        """Versions of datasets, what they may contain, their exports and lineage."""
        from sql.datasets.dataset_book import DatasetBook

        return DatasetBook(self)

    @property
    def actions(self) -> ActionBook:
        """What is kept about the runs of actions, node by node."""
        from sql.actions.action_book import ActionBook

        return ActionBook(self)

    @property
    def action_context(self) -> ActionContext:
        """What actions ask before they run: batches, contexts of nodes, contracts, pipelines."""
        from sql.actions.action_context import ActionContext

        return ActionContext(self)

    @property
    def pipelines(self) -> PipelineBook:
        """Which batches are in which pipeline, and where they stand."""
        from sql.actions.pipeline_book import PipelineBook

        return PipelineBook(self)

    @property
    def labels(self) -> LabelBook:
        """What people are asked about nodes, and what they said."""
        from sql.actions.label_book import LabelBook

        return LabelBook(self)

    @property
    def thumbnails(self) -> ThumbnailBook:
        """Which images and videos have a small picture in the store."""
        from sql.datasets.thumbnail_book import ThumbnailBook

        return ThumbnailBook(self)

    @property
    def cold(self) -> ColdBook:
        """Packages for cold storage that are of no ingest batch."""
        from sql.intent.cold_book import ColdBook

        return ColdBook(self)
