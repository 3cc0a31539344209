"""The repositories of a database: each noun that something is asked about has one.

Each has a module of its own, loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sql.core.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sql.actions.action_book import ActionBook
    from sql.actions.action_context import ActionContext
    from sql.actions.label_book import LabelBook
    from sql.actions.pipeline_book import PipelineBook
    from sql.datasets.dataset_book import DatasetBook
    from sql.datasets.explore_book import ExploreBook
    from sql.datasets.statistics_book import StatisticsBook
    from sql.datasets.thumbnail_book import ThumbnailBook
    from sql.events.event_book import EventBook
    from sql.events.webhook_book import WebhookBook
    from sql.intent.cold_book import ColdBook
    from sql.intent.ingest_book import IngestBook
    from sql.intent.quarantine_book import QuarantineBook
    from sql.intent.received_book import ReceivedBook
    from sql.intent.schema_book import SchemaBook
    from sql.people.audit_book import AuditBook
    from sql.people.request_book import RequestBook
    from sql.people.user_book import UserBook
    from sql.rights.grant_book import GrantBook
    from sql.runs.overview_book import OverviewBook
    from sql.runs.run_book import RunBook
    from sql.runs.run_summary_book import RunSummaryBook
    from sql.runs.schedule_book import ScheduleBook
    from sql.selector.select import Aggregate, NodeRow
    from sql.selector.selector import Selector


class _Repository:
    def __init__(self, place: str) -> None:
        self._module, _, self._name = place.rpartition(".")

    def __get__(self, database: Transactions, owner: type[Any]) -> Any:
        return getattr(import_module(self._module), self._name)(database)


def _made_of(place: str) -> Any:
    """Return an attribute that is the class at this place, made of the database."""
    return _Repository(place)


class Books(Transactions):
    """A database as its repositories see it."""

    runs: RunBook = _made_of("sql.runs.run_book.RunBook")
    """Runs, their tasks, queues and gates."""
    run_summary: RunSummaryBook = _made_of("sql.runs.run_summary_book.RunSummaryBook")
    """Many runs and batches seen together."""
    events: EventBook = _made_of("sql.events.event_book.EventBook")
    """The outbox: what happened, and who is told."""
    webhooks: WebhookBook = _made_of("sql.events.webhook_book.WebhookBook")
    """Who is told of events over HTTP, and what."""
    users: UserBook = _made_of("sql.people.user_book.UserBook")
    """People of the browser's side, their sessions, tokens and saved views."""
    explore: ExploreBook = _made_of("sql.datasets.explore_book.ExploreBook")
    """Pages of a selector, and counts beside it."""
    statistics: StatisticsBook = _made_of("sql.datasets.statistics_book.StatisticsBook")
    """What came in, by day, source, type and account."""
    overview: OverviewBook = _made_of("sql.runs.overview_book.OverviewBook")
    """Short lists of what is going on."""
    rights: GrantBook = _made_of("sql.rights.grant_book.GrantBook")
    """Groups, and what is granted to whom."""
    audit: AuditBook = _made_of("sql.people.audit_book.AuditBook")
    """Who changed what."""
    requests: RequestBook = _made_of("sql.people.request_book.RequestBook")
    """Requests that carry a key, and what came of them."""
    schedules: ScheduleBook = _made_of("sql.runs.schedule_book.ScheduleBook")
    """What the clock asks for, and what became of each time."""
    datasets: DatasetBook = _made_of("sql.datasets.dataset_book.DatasetBook")
    """Versions of datasets, what they may contain, their exports and lineage."""
    actions: ActionBook = _made_of("sql.actions.action_book.ActionBook")
    """What is kept about the runs of actions, node by node."""
    action_context: ActionContext = _made_of("sql.actions.action_context.ActionContext")
    """What actions ask before they run: batches, contexts of nodes, contracts, pipelines."""
    pipelines: PipelineBook = _made_of("sql.actions.pipeline_book.PipelineBook")
    """Which batches are in which pipeline, and where they stand."""
    labels: LabelBook = _made_of("sql.actions.label_book.LabelBook")
    """What people are asked about nodes, and what they said."""
    thumbnails: ThumbnailBook = _made_of("sql.datasets.thumbnail_book.ThumbnailBook")
    """Which images and videos have a small picture in the store."""
    cold: ColdBook = _made_of("sql.intent.cold_book.ColdBook")
    """Packages for cold storage that are of no ingest batch."""
    ingests: IngestBook = _made_of("sql.intent.ingest_book.IngestBook")
    """Ingest batches, their packages and purges."""
    received: ReceivedBook = _made_of("sql.intent.received_book.ReceivedBook")
    """What programs sent, and dead letters."""
    quarantine: QuarantineBook = _made_of("sql.intent.quarantine_book.QuarantineBook")
    """What could not be understood, of ingest batches and of actions."""
    schemas: SchemaBook = _made_of("sql.intent.schema_book.SchemaBook")
    """What was decided about JSON documents, and which belong together."""

    def query_nodes(self, selector: Selector) -> Iterator[NodeRow]:
        """Yield what a selector finds, as it comes; a connection is busy until the last one."""
        from sql.selector import select

        with self.reading() as connection:
            yield from select.query_nodes(connection, selector)

    def aggregate(self, selector: Selector) -> Aggregate:
        """Return how many nodes a selector finds and the sum of their sizes."""
        from sql.selector import select

        with self.reading() as connection:
            return select.aggregate(connection, selector)
