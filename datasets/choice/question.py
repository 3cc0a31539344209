"""From a definition to a question for the database: it owns that translation, and asks nothing."""

from __future__ import annotations

from datasets.definition.definition import Boxes, Definition, Labels, NearDuplicates, ValueSource
from sql import BoxQuestion, DatasetQuestion, LabelQuestion, NearQuestion, ValueQuestion

# Names of values that no definition can have, because they are no words.
WIDTH, HEIGHT = "image width", "image height"


def question_of(definition: Definition) -> DatasetQuestion:
    """Return what a definition asks."""
    values = {name: _value(source) for name, source in definition.metadata.items()}
    if definition.image_size is not None:
        values[WIDTH] = _value(definition.image_size.width)
        values[HEIGHT] = _value(definition.image_size.height)
    pipelines = definition.require_complete
    return DatasetQuestion(
        selector=definition.selector,
        pipelines=None if pipelines == "default" else pipelines,
        filters=definition.filters,
        labels=None if definition.labels is None else _labels(definition.labels),
        boxes=None if definition.boxes is None else _boxes(definition.boxes),
        near=None if definition.near_duplicates is None else _near(definition.near_duplicates),
        values=values,
        values_required=(WIDTH, HEIGHT) if definition.boxes is not None else (),
        group_by=definition.splits.group_by,
    )


def _value(source: ValueSource) -> ValueQuestion:
    if source.result is not None:
        return ValueQuestion("result", source.result.action, source.result.column, source.of)
    if source.source_metadata is not None:
        declared = source.source_metadata
        return ValueQuestion("source_metadata", declared.source, declared.column, source.of)
    if source.metadata is not None:
        return ValueQuestion("metadata", column=source.metadata.field, of=source.of)
    assert source.tree is not None
    return ValueQuestion("tree", source.tree.ancestor, within=source.tree.within)


def _labels(labels: Labels) -> LabelQuestion:
    return LabelQuestion(
        source=_value(labels.source),
        map=labels.map,
        classes=labels.classes,
        multiple=labels.multiple,
        drop_unlabelled=labels.unlabelled != "keep",
    )


def _boxes(boxes: Boxes) -> BoxQuestion:
    return BoxQuestion(
        action=boxes.action,
        label=boxes.label,
        x=boxes.x,
        y=boxes.y,
        width=boxes.width,
        height=boxes.height,
        confidence=boxes.confidence or "",
        confidence_min=boxes.confidence_min,
    )


def _near(near: NearDuplicates) -> NearQuestion:
    return NearQuestion(near.action or "", near.column or "", near.relationship or "")
