"""Actions (S04's hand-off): contracts, the trees programs expect, and reading what they wrote.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.actions.ac1 import run_ac1, run_grouping, run_tagging
    from adapters.actions.batch import make_batch, verify_sealed
    from adapters.actions.children import ChildBounds, child_bounds
    from adapters.actions.command import RenderedRun, checked_model, rendered_command
    from adapters.actions.config import ActionsConfig, load_actions_config
    from adapters.actions.contract import ActionContract
    from adapters.actions.contract_check import LoadedContract, check_contract, load_contract
    from adapters.actions.dry_run import DryRun
    from adapters.actions.dry_run import dry_run as dry_run_action
    from adapters.actions.events import begin_event, end_event, event_of_run
    from adapters.actions.hand_off import HandOffReport, take_outputs
    from adapters.actions.labels_agreement import Agreement
    from adapters.actions.labels_answer import check_answer
    from adapters.actions.labels_export import export_tasks, label_config
    from adapters.actions.labels_import import ImportReport, import_labels
    from adapters.actions.labels_publish import (
        LabelReport,
        label_report,
        make_label_tasks,
        publish_labels,
    )
    from adapters.actions.parameters import checked_parameters
    from adapters.actions.parts import ActionPart, plan_parts
    from adapters.actions.pipelines import (
        NextStage,
        Pipeline,
        declare_pipeline,
        gates_of_action,
        load_pipeline,
        next_stage,
    )
    from adapters.actions.registry import (
        contract_named,
        contracts,
        declare_contract,
        registered_contract,
    )
    from adapters.actions.replay_outputs import ReplayReport
    from adapters.actions.replay_outputs import replay_outputs as replay_quarantine
    from adapters.actions.stage import (
        changed_input,
        empty_output,
        release_part,
        release_stage_of,
        stage_part,
    )
    from adapters.actions.stage_model import LeftOut, StagedInput, StagedPart

_HOMES = {
    "import_labels": "adapters.actions.labels_import",
    "label_config": "adapters.actions.labels_export",
    "export_tasks": "adapters.actions.labels_export",
    "check_answer": "adapters.actions.labels_answer",
    "LabelReport": "adapters.actions.labels_publish",
    "ImportReport": "adapters.actions.labels_import",
    "Agreement": "adapters.actions.labels_agreement",
    "child_bounds": "adapters.actions.children",
    "ChildBounds": "adapters.actions.children",
    "replay_quarantine": "adapters.actions.replay_outputs",
    "ReplayReport": "adapters.actions.replay_outputs",
    "run_grouping": "adapters.actions.ac1",
    "run_tagging": "adapters.actions.ac1",
    "label_report": "adapters.actions.labels_publish",
    "make_label_tasks": "adapters.actions.labels_publish",
    "publish_labels": "adapters.actions.labels_publish",
    "end_event": "adapters.actions.events",
    "event_of_run": "adapters.actions.events",
    "begin_event": "adapters.actions.events",
    "HandOffReport": "adapters.actions.hand_off",
    "take_outputs": "adapters.actions.hand_off",
    "run_ac1": "adapters.actions.ac1",
    "ActionContract": "adapters.actions.contract",
    "ActionPart": "adapters.actions.parts",
    "ActionsConfig": "adapters.actions.config",
    "DryRun": "adapters.actions.dry_run",
    "LeftOut": "adapters.actions.stage_model",
    "LoadedContract": "adapters.actions.contract_check",
    "NextStage": "adapters.actions.pipelines",
    "Pipeline": "adapters.actions.pipelines",
    "RenderedRun": "adapters.actions.command",
    "StagedInput": "adapters.actions.stage_model",
    "StagedPart": "adapters.actions.stage_model",
    "changed_input": "adapters.actions.stage",
    "check_contract": "adapters.actions.contract_check",
    "checked_model": "adapters.actions.command",
    "checked_parameters": "adapters.actions.parameters",
    "contract_named": "adapters.actions.registry",
    "contracts": "adapters.actions.registry",
    "declare_contract": "adapters.actions.registry",
    "declare_pipeline": "adapters.actions.pipelines",
    "dry_run_action": "adapters.actions.dry_run",
    "empty_output": "adapters.actions.stage",
    "gates_of_action": "adapters.actions.pipelines",
    "load_actions_config": "adapters.actions.config",
    "load_contract": "adapters.actions.contract_check",
    "load_pipeline": "adapters.actions.pipelines",
    "make_batch": "adapters.actions.batch",
    "next_stage": "adapters.actions.pipelines",
    "plan_parts": "adapters.actions.parts",
    "registered_contract": "adapters.actions.registry",
    "release_part": "adapters.actions.stage",
    "release_stage_of": "adapters.actions.stage",
    "rendered_command": "adapters.actions.command",
    "stage_part": "adapters.actions.stage",
    "verify_sealed": "adapters.actions.batch",
}

_NAMES_THERE = {"replay_quarantine": "replay_outputs", "dry_run_action": "dry_run"}

__all__ = [
    "ActionContract",
    "ActionPart",
    "ActionsConfig",
    "Agreement",
    "ChildBounds",
    "DryRun",
    "HandOffReport",
    "ImportReport",
    "LabelReport",
    "LeftOut",
    "LoadedContract",
    "NextStage",
    "Pipeline",
    "RenderedRun",
    "ReplayReport",
    "StagedInput",
    "StagedPart",
    "begin_event",
    "changed_input",
    "check_answer",
    "check_contract",
    "checked_model",
    "checked_parameters",
    "child_bounds",
    "contract_named",
    "contracts",
    "declare_contract",
    "declare_pipeline",
    "dry_run_action",
    "empty_output",
    "end_event",
    "event_of_run",
    "export_tasks",
    "gates_of_action",
    "import_labels",
    "label_config",
    "label_report",
    "load_actions_config",
    "load_contract",
    "load_pipeline",
    "make_batch",
    "make_label_tasks",
    "next_stage",
    "plan_parts",
    "publish_labels",
    "registered_contract",
    "release_part",
    "release_stage_of",
    "rendered_command",
    "replay_quarantine",
    "run_ac1",
    "run_grouping",
    "run_tagging",
    "stage_part",
    "take_outputs",
    "verify_sealed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module adapters.actions has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
