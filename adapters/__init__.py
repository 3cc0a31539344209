"""The formats (S03): scraped folders in, nodes and edges out; and UA_1, which carries them in.

This is the folder's face. Names are loaded when they are first used.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from adapters.audit.audit import audit as run_audit
    from adapters.audit.backup_partner import backup_partner
    from adapters.audit.care import (
        StoreNotice,
        inbox_root,
        mount_root,
        stage_root,
        store_client,
        store_notices,
    )
    from adapters.audit.care import scrub as scrub_store
    from adapters.cli.app import app as cli_app
    from adapters.cli.demo import chapter as demo_chapter
    from adapters.ingest.admission import ingest_states
    from adapters.ingest.dry_run import dry_run as dry_run_folder
    from adapters.ingest.inbox import Waiting as WaitingFolder
    from adapters.ingest.inbox import choose_adapter, is_signalled, read_signal, waiting_folders
    from adapters.ingest.ingest import ingest as run_ingest
    from adapters.ingest.purge import PurgePlace
    from adapters.operations.listed import adapters_operations
    from adapters.operations.requests import Letter as DeadLetter
    from adapters.operations.requests import LetterSight as DeadLetterSight
    from adapters.operations.requests import letter_sight as dead_letter
    from adapters.operations.requests import letters_shown as dead_letters
    from adapters.operations.requests import request_shown as received_request
    from adapters.operations.requests import requests_shown as received_requests
    from adapters.operations.schemas import Decided as SchemaDecided
    from adapters.receive.config import load_receive_config
    from adapters.receive.laid_out import PREFIX as RECEIVED_PREFIX
    from adapters.receive.letters import settle as settle_received
    from adapters.receive.outbox import Outbox as ReceivedOutbox
    from adapters.receive.parts import BODY_BYTES_MAX as RECEIVED_BYTES_MAX
    from adapters.receive.receipts import Receipt
    from adapters.receive.receipts import Said as ReceivedSaid
    from adapters.receive.receiver import Receiver
    from adapters.receive.receiver import folder_of as received_folder
    from adapters.receive.resumable import CHECKSUMS as RESUMABLE_CHECKSUMS
    from adapters.receive.resumable import About as ResumableAbout
    from adapters.receive.resumable import ChecksumError, OffsetError, Resumables
    from adapters.receive.state import PARTS_TOLD_MAX as RECEIVED_TOLD_MAX
    from adapters.receive.state import PartState as ReceivedPart
    from adapters.receive.state import ReceivedState
    from adapters.receive.state import RequestLine as ReceivedRequestLine
    from adapters.receive.state import RequestState as ReceivedRequestState
    from adapters.receive.state import state_of as received_state
    from adapters.receive.upload import Upload as ReceivedUpload
    from adapters.records.errors import SpaceError
    from adapters.records.items import MediaFile, Observation, Problem, Record, Sniff
    from adapters.schemas.look import PreviewRow as SchemaPreviewRow
    from adapters.schemas.look import SchemaLine, SchemaSight
    from adapters.schemas.look import difference as schema_difference
    from adapters.schemas.look import lines as schema_lines
    from adapters.schemas.look import sight as schema_sight
    from adapters.sources.received import PRIORITY_WORDS
    from adapters.sources.received import priority_of as received_priority
    from adapters.sources.registry import adapter_names
    from adapters.thumbnails.thumbnails import EDGE_PX as THUMBNAIL_EDGE_PX
    from adapters.thumbnails.thumbnails import SOURCE_SIZE_BYTES_MAX as THUMBNAIL_SOURCE_BYTES_MAX
    from adapters.thumbnails.thumbnails import drawn_as, make_thumbnails, source_facts
    from adapters.thumbnails.worker import ThumbnailWorker
    from adapters.work.batch_work import Signal, check_signal
    from fsd import EngineUnavailableError

__getattr__ = lazy_face(__name__, __file__)
