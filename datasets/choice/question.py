"""From a definition to a question for the database; nothing is asked here."""

from __future__ import annotations

from datasets.definition.definition import Definition
from sql import DatasetQuestion

# Names of values that no definition can have, because they are no words.
WIDTH, HEIGHT = "image width", "image height"


def question_of(definition: Definition) -> DatasetQuestion:
    """Return what a definition asks."""
    values = dict(definition.metadata)
    if definition.image_size is not None:
        values[WIDTH] = definition.image_size.width
        values[HEIGHT] = definition.image_size.height
    pipelines = definition.require_complete
    return DatasetQuestion(
        selector=definition.selector,
        pipelines=None if pipelines == "default" else pipelines,
        filters=definition.filters,
        labels=definition.labels,
        boxes=definition.boxes,
        near=definition.near_duplicates,
        values=values,
        values_required=(WIDTH, HEIGHT) if definition.boxes is not None else (),
        group_by=definition.splits.group_by,
    )
