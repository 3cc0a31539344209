"""How far people agree (AC5): it owns agreement and what they say together. Pure.

- per cent: pairs of labellers of one task that say the same, of all such pairs.
- Cohen's kappa (1960) for two labellers, Fleiss' kappa (1971) for more: agreement beyond what
  chance would give; 1 is perfect, 0 is chance. Fleiss takes tasks with any number of answers of at
  least two, weighted by their pairs, and is his own where all have equally many.
- boxes: two boxes mean the same when they have one label and overlap by IOU_MIN; the agreement of
  two labellers is the F1 of their boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from adapters.actions.labels.answer import Box

IOU_MIN = 0.5


class Agreement(NamedTuple):
    """Of all tasks with at least two answers; None where there is none, or nothing to say."""

    tasks: int
    percent: float | None
    cohen_kappa: float | None = None
    fleiss_kappa: float | None = None


def agreement_of_classes(answers: Iterable[Mapping[str, str]]) -> Agreement:
    """Return the agreement of tasks, each a mapping of labellers to classes."""
    tasks = [task for task in answers if len(task) > 1]
    if not tasks:
        return Agreement(0, None)
    same = pairs = 0
    for task in tasks:
        counts = Counter(task.values())
        same += sum(count * (count - 1) // 2 for count in counts.values())
        pairs += len(task) * (len(task) - 1) // 2
    labellers = {labeller for task in tasks for labeller in task}
    cohen = cohen_kappa(tasks) if len(labellers) == 2 else None
    return Agreement(len(tasks), 100 * same / pairs, cohen, fleiss_kappa(tasks))


def cohen_kappa(tasks: Sequence[Mapping[str, str]]) -> float | None:
    """Return Cohen's kappa of two labellers; None when chance alone explains everything."""
    first, second = sorted({labeller for task in tasks for labeller in task})
    both = [(task[first], task[second]) for task in tasks]
    observed = sum(a == b for a, b in both) / len(both)
    of_first, of_second = Counter(a for a, _ in both), Counter(b for _, b in both)
    chance = sum(of_first[name] * of_second[name] for name in of_first) / len(both) ** 2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def fleiss_kappa(tasks: Sequence[Mapping[str, str]]) -> float | None:
    """Return Fleiss' kappa; None when chance alone explains everything."""
    pairs = agreeing = 0.0
    classes: Counter[str] = Counter()
    for task in tasks:
        counts, size = Counter(task.values()), len(task)
        agreeing += sum(count * (count - 1) for count in counts.values())
        pairs += size * (size - 1)
        classes += counts
    total = classes.total()
    chance = sum((count / total) ** 2 for count in classes.values())
    return None if chance == 1 else (agreeing / pairs - chance) / (1 - chance)


def agreement_of_boxes(answers: Iterable[Mapping[str, Sequence[Box]]]) -> Agreement:
    """Return the agreement of tasks, each a mapping of labellers to boxes."""
    scores: list[float] = []
    count = 0
    for task in answers:
        if len(task) > 1:
            count += 1
            scores += [_f1(one, other) for one, other in combinations(task.values(), 2)]
    return Agreement(count, 100 * sum(scores) / len(scores) if scores else None)


def _f1(one: Sequence[Box], other: Sequence[Box]) -> float:
    if not one and not other:
        return 1.0
    return 2 * len(_matches(one, other)) / (len(one) + len(other))


def _matches(one: Sequence[Box], other: Sequence[Box]) -> list[tuple[int, int]]:
    """Return pairs of boxes that mean the same, the best overlaps first, each box once."""
    overlaps = sorted(
        (
            (-iou(a, b), place_a, place_b)
            for place_a, a in enumerate(one)
            for place_b, b in enumerate(other)
            if a.label == b.label
        ),
    )
    taken_a, taken_b, found = set[int](), set[int](), list[tuple[int, int]]()
    for negative, place_a, place_b in overlaps:
        if -negative >= IOU_MIN and place_a not in taken_a and place_b not in taken_b:
            taken_a.add(place_a)
            taken_b.add(place_b)
            found.append((place_a, place_b))
    return found


def iou(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


# ---- What they say together ------------------------------------------------------------------


class Voted(NamedTuple):
    """A class or box that more than half of the labellers say."""

    value: str | Box
    labellers: tuple[str, ...]
    share: float
    """Of all who answered."""


def majority_class(answers: Mapping[str, str]) -> Voted | None:
    """Return the class that more than half say, None where there is none (a tie, a dispute)."""
    if not answers:
        return None
    name, count = Counter(answers.values()).most_common(1)[0]
    if 2 * count <= len(answers):
        return None
    who = tuple(sorted(labeller for labeller, value in answers.items() if value == name))
    return Voted(name, who, count / len(answers))


def majority_boxes(answers: Mapping[str, Sequence[Box]]) -> list[Voted]:
    """Return the boxes that more than half mark, with the mean of their places.

    Boxes are gathered labeller by labeller, by name: each joins the group whose first box it
    overlaps most.
    """
    groups: list[dict[str, Box]] = []
    for labeller in sorted(answers):
        boxes = sorted(answers[labeller])
        heads = [next(iter(group.values())) for group in groups]
        matched = dict(_matches(boxes, heads))
        for place, box in enumerate(boxes):
            if place in matched:
                groups[matched[place]][labeller] = box
            else:
                groups.append({labeller: box})
    found = [group for group in groups if 2 * len(group) > len(answers)]
    return sorted(
        (
            Voted(_mean(list(group.values())), tuple(sorted(group)), len(group) / len(answers))
            for group in found
        ),
        key=box_of,
    )


def box_of(voted: Voted) -> Box:
    """Return the box of a vote about boxes."""
    assert isinstance(voted.value, Box)
    return voted.value


def _mean(boxes: Sequence[Box]) -> Box:
    sides = np.mean([box[1:] for box in boxes], axis=0)
    return Box(boxes[0].label, *(round(float(side), 3) for side in sides))
