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
        canonical_json,
    )
    from sql.actions.history import PipelineState
    from sql.actions.label_book import ImportedAnswer, LabelAnswer, Labeller, LabelRun, LabelTask
    from sql.actions.pipeline_book import EnrolledBatch, PipelineBatches, WaitingDataset
    from sql.api.app import BODY_LIMITS_BYTES as DATABASE_BODY_LIMITS_BYTES
    from sql.api.app import database_routes
    from sql.api.schema import describe_bodies
    from sql.backup.backup import make_backup
    from sql.backup.partner import Packaged, Packager, set_backup_partner
    from sql.backup.restore_database import restore_fresh, verified_export
    from sql.backup.without_secrets import Export, seal_export
    from sql.cli.app import app as cli_app
    from sql.cli.database_companion import companion
    from sql.copies.report import BackupFacts, read_facts
    from sql.core.config import load_config
    from sql.core.declared import RESERVED_NAMES, Column, DeclaredTable
    from sql.core.declared import TYPES as COLUMN_TYPES
    from sql.core.declared import Type as ColumnType
    from sql.core.declared import ddl as table_statements
    from sql.core.errors import (
        BusyError,
        DatabaseUnavailableError,
        GuestError,
        KeyReusedError,
        NotFoundError,
        QueryTimeoutError,
        SchemaError,
        SelectorError,
        StaleAttemptError,
        TurnError,
    )
    from sql.core.file_types import default_file_extensions, media_type_of
    from sql.database.batch_nodes import may_have_selected
    from sql.database.database import Database
    from sql.database.guest_view import GuestView, SharedContent
    from sql.database.node_groups import TABLE as PEOPLE_TABLE
    from sql.database.node_groups import GroupName
    from sql.database.node_groups import description_of as group_description
    from sql.datasets.dataset_candidates import Candidates
    from sql.datasets.dataset_question import (
        CLASSES_MAX,
        Ancestor,
        Boxes,
        CandidateRow,
        DatasetExport,
        DatasetQuestion,
        DatasetVersion,
        FormerSplits,
        Groups,
        Labels,
        MemberChange,
        Membership,
        NearDuplicates,
        NewVersion,
        ValueSource,
        Word,
    )
    from sql.datasets.explore_book import ExploredNode, Facets, FacetValue
    from sql.datasets.geometry import Geometry, geometry_of, polygon_area
    from sql.datasets.node_report import NodeReport
    from sql.datasets.thumbnail_book import KnownThumbnail, MadeThumbnail, Unpictured
    from sql.events.event_book import Delivery, DueDelivery, FeedEvent
    from sql.events.event_types import EVENT_TYPES, former_name, hidden_types
    from sql.events.webhook_book import (
        DeliveryEnd,
        NewWebhook,
        Taken,
        TakenMessage,
        Try,
        Webhook,
        WebhookDelivery,
        WebhookSecrets,
    )
    from sql.intent.cold_book import NewPackage
    from sql.intent.ingest_book import ConfirmedBy, IngestBatch, OutboxPackage
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
    from sql.intent.quarantine_book import Quarantined, QuarantineRow
    from sql.intent.received_book import LETTERS_MAX, LetterRow, LetterState, ReceivedRow
    from sql.intent.schema_book import NewShape, Proposal, SchemaVersion, StoredDocument
    from sql.operations.chosen import (
        CHOICE_LOADS,
        CHOICE_METAVARS,
        CHOICE_OPTIONS,
        Chosen,
        SelectorField,
        chosen_by,
    )
    from sql.operations.listed import sql_operations
    from sql.operations.place import Place, opened
    from sql.operations.shell_witness import shell_witness
    from sql.people.audit_book import AuditEntry, AuditWitness
    from sql.people.kept_mark import KeptMark
    from sql.people.request_book import RequestsAhead
    from sql.people.scopes import (
        ROLES,
        Role,
        Scope,
        scopes_of_role,
    )
    from sql.people.user_book import ApiToken, LoginAttempt, SavedView, Session, User
    from sql.rights.grant_book import Grant, Staff
    from sql.runs.overview_book import Late, LateBackup, LateRun, Standing
    from sql.runs.run_models import (
        PRIORITY_FIRST,
        PRIORITY_HIGH,
        PRIORITY_LAST,
        PRIORITY_LOW,
        PRIORITY_NORMAL,
        Attempt,
        Claim,
        DueTask,
        GpuGate,
        LaneTimes,
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
        priority_of_size,
    )
    from sql.runs.schedule_models import Firing, FiringDecision, NewSchedule, RunRequest, Schedule
    from sql.selector.computed import Computed
    from sql.selector.document import parse_selector, read_selector
    from sql.selector.select import Explanation, NodeRow
    from sql.selector.selector import Condition, Selector

__getattr__ = lazy_face(__name__, __file__)
