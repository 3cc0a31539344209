"""Actions (S04's hand-off): contracts, the trees programs expect, and reading what they wrote.

This is the folder's face. Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract, check_contract, load_contract
    from adapters.actions.contract.config import ActionsConfig, load_actions_config
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.parameters import checked_parameters
    from adapters.actions.contract.pipelines import (
        NextStage,
        Pipeline,
        declare_pipeline,
        declared_pipelines,
        gates_of_action,
        load_pipeline,
        next_stage,
    )
    from adapters.actions.contract.registry import (
        contract_at,
        contract_named,
        contracts,
        declare_contract,
        registered_contract,
    )
    from adapters.actions.contract.stage_model import LeftOut, StagedInput, StagedPart
    from adapters.actions.labels.agreement import Agreement
    from adapters.actions.labels.answer import check_answer
    from adapters.actions.labels.export import export_tasks, label_config
    from adapters.actions.labels.importing import ImportReport, import_labels
    from adapters.actions.labels.publish import (
        LabelReport,
        label_report,
        make_label_tasks,
        publish_labels,
    )
    from adapters.actions.outputs.events import begin_event, end_event, event_of_run
    from adapters.actions.outputs.hand_off import HandOffReport, take_outputs
    from adapters.actions.outputs.replay_outputs import ReplayReport
    from adapters.actions.outputs.replay_outputs import replay_outputs as replay_quarantine
    from adapters.actions.run.ac1 import run_ac1, run_grouping, run_tagging
    from adapters.actions.run.dry_run import DryRun
    from adapters.actions.run.dry_run import dry_run as dry_run_action
    from adapters.actions.run.try_inputs import read_inputs
    from adapters.actions.run.try_outputs import try_outputs
    from adapters.actions.stage.batch import make_batch, verify_sealed
    from adapters.actions.stage.command import RenderedRun, checked_models, rendered_command
    from adapters.actions.stage.parts import ActionPart, plan_parts
    from adapters.actions.stage.room import limit_bytes as stage_limit_bytes
    from adapters.actions.stage.stage import (
        changed_input,
        empty_output,
        release_part,
        release_stage_of,
        stage_part,
    )
    from adapters.actions.stage.stage_nodes import stage_nodes

_HOMES = {
    "import_labels": "adapters.actions.labels.importing",
    "label_config": "adapters.actions.labels.export",
    "export_tasks": "adapters.actions.labels.export",
    "check_answer": "adapters.actions.labels.answer",
    "LabelReport": "adapters.actions.labels.publish",
    "ImportReport": "adapters.actions.labels.importing",
    "Agreement": "adapters.actions.labels.agreement",
    "replay_quarantine": "adapters.actions.outputs.replay_outputs",
    "ReplayReport": "adapters.actions.outputs.replay_outputs",
    "run_grouping": "adapters.actions.run.ac1",
    "run_tagging": "adapters.actions.run.ac1",
    "label_report": "adapters.actions.labels.publish",
    "make_label_tasks": "adapters.actions.labels.publish",
    "publish_labels": "adapters.actions.labels.publish",
    "end_event": "adapters.actions.outputs.events",
    "event_of_run": "adapters.actions.outputs.events",
    "begin_event": "adapters.actions.outputs.events",
    "HandOffReport": "adapters.actions.outputs.hand_off",
    "take_outputs": "adapters.actions.outputs.hand_off",
    "run_ac1": "adapters.actions.run.ac1",
    "ActionContract": "adapters.actions.contract.contract",
    "ActionPart": "adapters.actions.stage.parts",
    "ActionsConfig": "adapters.actions.contract.config",
    "DryRun": "adapters.actions.run.dry_run",
    "LeftOut": "adapters.actions.contract.stage_model",
    "LoadedContract": "adapters.actions.contract.check",
    "NextStage": "adapters.actions.contract.pipelines",
    "Pipeline": "adapters.actions.contract.pipelines",
    "RenderedRun": "adapters.actions.stage.command",
    "StagedInput": "adapters.actions.contract.stage_model",
    "StagedPart": "adapters.actions.contract.stage_model",
    "changed_input": "adapters.actions.stage.stage",
    "check_contract": "adapters.actions.contract.check",
    "checked_models": "adapters.actions.stage.command",
    "checked_parameters": "adapters.actions.contract.parameters",
    "contract_at": "adapters.actions.contract.registry",
    "contract_named": "adapters.actions.contract.registry",
    "contracts": "adapters.actions.contract.registry",
    "declare_contract": "adapters.actions.contract.registry",
    "declare_pipeline": "adapters.actions.contract.pipelines",
    "declared_pipelines": "adapters.actions.contract.pipelines",
    "dry_run_action": "adapters.actions.run.dry_run",
    "empty_output": "adapters.actions.stage.stage",
    "gates_of_action": "adapters.actions.contract.pipelines",
    "load_actions_config": "adapters.actions.contract.config",
    "load_contract": "adapters.actions.contract.check",
    "load_pipeline": "adapters.actions.contract.pipelines",
    "make_batch": "adapters.actions.stage.batch",
    "next_stage": "adapters.actions.contract.pipelines",
    "plan_parts": "adapters.actions.stage.parts",
    "registered_contract": "adapters.actions.contract.registry",
    "release_part": "adapters.actions.stage.stage",
    "release_stage_of": "adapters.actions.stage.stage",
    "read_inputs": "adapters.actions.run.try_inputs",
    "rendered_command": "adapters.actions.stage.command",
    "stage_limit_bytes": "adapters.actions.stage.room",
    "stage_nodes": "adapters.actions.stage.stage_nodes",
    "stage_part": "adapters.actions.stage.stage",
    "try_outputs": "adapters.actions.run.try_outputs",
    "verify_sealed": "adapters.actions.stage.batch",
}

_NAMES_THERE = {
    "replay_quarantine": "replay_outputs",
    "dry_run_action": "dry_run",
    "stage_limit_bytes": "limit_bytes",
}

__all__ = [
    "ActionContract",
    "ActionPart",
    "ActionsConfig",
    "Agreement",
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
    "checked_models",
    "checked_parameters",
    "contract_at",
    "contract_named",
    "contracts",
    "declare_contract",
    "declare_pipeline",
    "declared_pipelines",
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
    "read_inputs",
    "registered_contract",
    "release_part",
    "release_stage_of",
    "rendered_command",
    "replay_quarantine",
    "run_ac1",
    "run_grouping",
    "run_tagging",
    "stage_limit_bytes",
    "stage_nodes",
    "stage_part",
    "take_outputs",
    "try_outputs",
    "verify_sealed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module adapters.actions has no attribute {name}")
    module = import_module(_HOMES[name])
    return getattr(module, _NAMES_THERE.get(name, name))
