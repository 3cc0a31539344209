"""The database (S05): schema, migrations, write-intents, selectors and backup over PostgreSQL.

This is the folder's face. Names are loaded when they are first used, so that `--help` stays quick.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from sql.actions.action_context import NodeContext, NodeMetadata
    from sql.actions.action_rows import (
        EventDetail,
        NodeOutcome,
        SetAside,
        SetAsideRow,
        canonical_json,
    )
    from sql.actions.history import PipelineState
    from sql.actions.label_book import ImportedAnswer, LabelAnswer, Labeller, LabelRun, LabelTask
    from sql.actions.pipeline_book import EnrolledBatch, WaitingDataset
    from sql.api.limits import BodyLimit
    from sql.api.listen import read_token, serve_apps, tcp_listener, unix_listener
    from sql.backup.backup import make_backup
    from sql.backup.partner import Packaged, Packager, set_backup_partner
    from sql.backup.restore_database import restore_fresh, verified_export
    from sql.backup.without_secrets import Export, seal_export
    from sql.cli.app import app as cli_app
    from sql.cli.database_companion import companion
    from sql.copies.report import BackupFacts, read_facts
    from sql.core.config import load_config
    from sql.core.declared import Column, DeclaredTable
    from sql.core.errors import (
        BusyError,
        DatabaseUnavailableError,
        NotFoundError,
        SelectorError,
        StaleAttemptError,
    )
    from sql.core.file_types import default_file_extensions, media_type_of
    from sql.database.database import Database
    from sql.datasets.dataset_candidates import Candidates
    from sql.datasets.dataset_question import (
        BoxQuestion,
        CandidateRow,
        DatasetExport,
        DatasetQuestion,
        DatasetVersion,
        FormerSplits,
        Groups,
        LabelQuestion,
        MemberChange,
        NearQuestion,
        NewVersion,
        ValueQuestion,
    )
    from sql.datasets.explore_book import ExploredNode, Facets
    from sql.datasets.node_report import NodeReport
    from sql.datasets.thumbnail_book import KnownThumbnail, MadeThumbnail, Unpictured
    from sql.intent.cold_book import NewPackage
    from sql.intent.ingest_state import ConfirmedBy, IngestBatch, OutboxPackage, QuarantineRow
    from sql.intent.intent import (
        ArchiveLocation,
        CommonMetadata,
        Edge,
        IntentResult,
        PhysicalNode,
        Relationship,
        ResultRow,
        SourceMetadata,
        SupersededResults,
        VirtualNode,
        WriteIntent,
        key_of,
    )
    from sql.people.user_book import ROLES, ApiToken, Role, SavedView, Session, User
    from sql.runs.event_book import Delivery, DueDelivery
    from sql.runs.overview_book import Late, LateBackup, Standing
    from sql.runs.run_models import (
        Attempt,
        Claim,
        DueTask,
        GpuGate,
        NewTask,
        Outcome,
        Progress,
        QueueState,
        Run,
        RunDetail,
        RunFilter,
        RunPage,
        RunState,
        RunTask,
        Successors,
    )
    from sql.runs.schedule_models import Firing, FiringDecision, NewSchedule, RunRequest, Schedule
    from sql.selector.computed import Computed
    from sql.selector.document import parse_selector, read_selector
    from sql.selector.select import Explanation
    from sql.selector.selector import Condition, Selector

__getattr__ = lazy_face(__name__, __file__)
