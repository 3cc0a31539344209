"""Actions (S04's hand-off): contracts, the trees programs expect, and reading what they wrote.

This is the folder's face. Names are loaded when they are first used.
"""

# pyright: reportUnusedImport=false

from typing import TYPE_CHECKING

from base.lazy import lazy_face

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract, load_contract
    from adapters.actions.contract.config import load_actions_config
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.contract import LabelTask as LabelQuestion
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
    from adapters.actions.contract.question import NewQuestion, make_question
    from adapters.actions.contract.registry import (
        contract_at,
        contract_named,
        contracts,
        declare_contract,
        registered_contract,
    )
    from adapters.actions.contract.stage_model import StagedPart
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
    from adapters.actions.outputs.hand_off import take_outputs
    from adapters.actions.run.ac1 import run_ac1
    from adapters.actions.run.dry_run import DryRun
    from adapters.actions.run.dry_run import dry_run as dry_run_action
    from adapters.actions.run.try_inputs import read_inputs
    from adapters.actions.run.try_outputs import try_outputs
    from adapters.actions.stage.batch import make_batch, next_of, verify_sealed
    from adapters.actions.stage.command import checked_models, rendered_command
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

__getattr__ = lazy_face(__name__, __file__)
