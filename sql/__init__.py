"""The database (S05): schema, migrations, write-intents, selectors and backup over PostgreSQL.

This is the folder's face. Names are loaded when they are first used, so that `--help` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sql.backup import list_backups, make_backup
    from sql.backup_list import Backup
    from sql.backup_report import BackupReport
    from sql.cli import app as cli_app
    from sql.config import DatabaseConfig, load_config
    from sql.database import Database
    from sql.database_companion import companion
    from sql.declared import Column, DeclaredTable
    from sql.errors import SqlError
    from sql.file_types import default_file_extensions
    from sql.health import Health
    from sql.history import PipelineState
    from sql.ingest_state import ArchiveRow, IngestBatch, OutboxPackage, Quarantined, QuarantineRow
    from sql.intent import (
        ArchiveLocation,
        CommonMetadata,
        Edge,
        IntentResult,
        NodeFlag,
        PhysicalNode,
        Relationship,
        ResultRow,
        SourceMetadata,
        VirtualNode,
        WriteIntent,
        key_of,
        load_intent,
    )
    from sql.restore_database import (
        Restored,
        restore_in_place,
        restore_to_database,
        restore_to_folder,
    )
    from sql.sample_check import set_sample_check
    from sql.select import Aggregate, Explanation, NodeRow
    from sql.selector import Selector
    from sql.selector_document import parse_selector, read_selector

_HOMES = {
    "Aggregate": "sql.select",
    "ArchiveLocation": "sql.intent",
    "ArchiveRow": "sql.ingest_state",
    "Backup": "sql.backup_list",
    "BackupReport": "sql.backup_report",
    "Column": "sql.declared",
    "CommonMetadata": "sql.intent",
    "Database": "sql.database",
    "DatabaseConfig": "sql.config",
    "DeclaredTable": "sql.declared",
    "Edge": "sql.intent",
    "Explanation": "sql.select",
    "Health": "sql.health",
    "IngestBatch": "sql.ingest_state",
    "IntentResult": "sql.intent",
    "NodeFlag": "sql.intent",
    "NodeRow": "sql.select",
    "OutboxPackage": "sql.ingest_state",
    "PhysicalNode": "sql.intent",
    "PipelineState": "sql.history",
    "QuarantineRow": "sql.ingest_state",
    "Quarantined": "sql.ingest_state",
    "Relationship": "sql.intent",
    "Restored": "sql.restore_database",
    "ResultRow": "sql.intent",
    "Selector": "sql.selector",
    "SourceMetadata": "sql.intent",
    "SqlError": "sql.errors",
    "VirtualNode": "sql.intent",
    "WriteIntent": "sql.intent",
    "cli_app": "sql.cli",
    "companion": "sql.database_companion",
    "default_file_extensions": "sql.file_types",
    "key_of": "sql.intent",
    "list_backups": "sql.backup",
    "load_config": "sql.config",
    "load_intent": "sql.intent",
    "make_backup": "sql.backup",
    "restore_in_place": "sql.restore_database",
    "restore_to_database": "sql.restore_database",
    "restore_to_folder": "sql.restore_database",
    "parse_selector": "sql.selector_document",
    "read_selector": "sql.selector_document",
    "set_sample_check": "sql.sample_check",
}

__all__ = [
    "Aggregate",
    "ArchiveLocation",
    "ArchiveRow",
    "Backup",
    "BackupReport",
    "Column",
    "CommonMetadata",
    "Database",
    "DatabaseConfig",
    "DeclaredTable",
    "Edge",
    "Explanation",
    "Health",
    "IngestBatch",
    "IntentResult",
    "NodeFlag",
    "NodeRow",
    "OutboxPackage",
    "PhysicalNode",
    "PipelineState",
    "QuarantineRow",
    "Quarantined",
    "Relationship",
    "Restored",
    "ResultRow",
    "Selector",
    "SourceMetadata",
    "SqlError",
    "VirtualNode",
    "WriteIntent",
    "cli_app",
    "companion",
    "default_file_extensions",
    "key_of",
    "list_backups",
    "load_config",
    "load_intent",
    "make_backup",
    "parse_selector",
    "read_selector",
    "restore_in_place",
    "restore_to_database",
    "restore_to_folder",
    "set_sample_check",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module sql has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, "app" if name == "cli_app" else name)
