"""Splits, by their properties: together, reproducible, within the bound, stable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.choice.splits import plan_splits
from sql import FormerSplits, Groups

FRACTIONS = st.sampled_from(
    [(0.8, 0.1, 0.1), (0.5, 0.5), (0.7, 0.3), (0.98, 0.01, 0.01), (0.25, 0.25, 0.25, 0.25)]
)
# Groups: which classes they hold how often.
MIXED = st.lists(
    st.dictionaries(st.integers(-1, 4), st.integers(1, 6), min_size=1, max_size=3), max_size=60
)
PURE = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=120)


def made(groups: list[dict[int, int]], ids: list[int] | None = None) -> Groups:
    """Groups as the database tells them: the lot goes with the bytes, the id with their arrival."""
    ids = ids or list(range(100, 100 + len(groups)))
    rows = [
        (ids[number], (number * 7919 + 13) ** 5 % 2**62, label, files)
        for number, group in enumerate(groups)
        for label, files in group.items()
    ]
    columns = np.array(rows, np.int64).reshape(-1, 4).T.copy()
    return Groups(*columns)


def counted(groups: Groups, plan, splits: int, label: int) -> list[int]:
    where = dict(zip(plan.group.tolist(), plan.split.tolist(), strict=True))
    counts = [0] * splits
    for group, one, files in zip(groups.group, groups.label, groups.files, strict=True):
        if one == label:
            counts[where[int(group)]] += int(files)
    return counts


@given(MIXED, FRACTIONS, st.integers(0, 2**63 - 1), st.booleans())
def test_every_group_is_in_one_split_and_always_in_the_same(groups, fractions, seed, stratify):
    asked = made(groups)
    plan = plan_splits(asked, fractions, seed=seed, stratify=stratify)
    assert sorted(plan.group.tolist()) == sorted(set(asked.group.tolist()))
    assert set(plan.split.tolist()) <= set(range(len(fractions)))
    # In whatever order the rows come, and whatever ids the groups got.
    shuffled = np.random.default_rng(1).permutation(len(asked.group))
    again = plan_splits(
        Groups(*(column[shuffled] for column in asked)), fractions, seed=seed, stratify=stratify
    )
    assert again.split.tolist() == plan.split.tolist()
    other_ids = [9_000 - 3 * number for number in range(len(groups))]
    renamed = plan_splits(made(groups, other_ids), fractions, seed=seed, stratify=stratify)
    assert renamed.split.tolist() == plan.split.tolist()[::-1]


@given(PURE, FRACTIONS, st.integers(0, 1_000))
def test_the_bound_for_groups_of_one_class(groups, fractions, seed):
    asked = made([{label: files} for label, files in groups])
    plan = plan_splits(asked, fractions, seed=seed)
    for label in {label for label, _ in groups}:
        sizes = [files for own, files in groups if own == label]
        counts = counted(asked, plan, len(fractions), label)
        assert sum(counts) == sum(sizes)
        # One group more where a split would have been empty.
        slack = 2 * max(sizes)
        for count, fraction in zip(counts, fractions, strict=True):
            share = fraction * sum(sizes)
            assert count <= share + slack
            assert count >= share - (len(fractions) - 1) * slack
        if len(sizes) >= len(fractions):
            assert all(counts), "a class with enough groups is in every split"


@given(st.lists(st.integers(0, 2), min_size=60, max_size=200), st.integers(0, 1_000))
def test_single_files_are_exact(labels, seed):
    asked = made([{label: 1} for label in labels])
    fractions = (0.8, 0.1, 0.1)
    plan = plan_splits(asked, fractions, seed=seed)
    for label in set(labels):
        total = labels.count(label)
        for count, fraction in zip(counted(asked, plan, 3, label), fractions, strict=True):
            # One more or less where a split would have been empty.
            assert abs(count - fraction * total) < 2


@given(MIXED, st.integers(0, 1_000), st.data())
def test_former_splits_stay_when_data_are_added(groups, seed, data):
    fractions = (0.7, 0.2, 0.1)
    known = data.draw(st.integers(0, len(groups)))
    before = plan_splits(made(groups[:known]), fractions, seed=seed)
    former = FormerSplits(before.group, before.split, np.ones(len(before.group), np.int64))
    after = plan_splits(made(groups), fractions, seed=seed + 1, former=former)
    now = dict(zip(after.group.tolist(), after.split.tolist(), strict=True))
    assert [now[group] for group in before.group.tolist()] == before.split.tolist()
    assert (after.kept, after.merged, after.moved_files) == (len(before.group), 0, 0)


def test_two_groups_that_became_one_go_to_the_split_that_is_first():
    asked = made([{0: 3}, {0: 1}, {0: 1}])
    former = FormerSplits(*np.array([[100, 2, 5], [100, 0, 1], [101, 1, 1]], np.int64).T.copy())
    plan = plan_splits(asked, (0.4, 0.3, 0.3), seed=1, former=former)
    assert plan.split.tolist()[:2] == [0, 1]
    assert (plan.kept, plan.merged, plan.moved_files) == (2, 1, 5)


def test_another_seed_gives_another_split():
    asked = made([{0: 1}] * 200)
    plans = {tuple(plan_splits(asked, (0.5, 0.5), seed=seed).split.tolist()) for seed in range(5)}
    assert len(plans) == 5


def test_large_groups_are_spread_like_small_ones():
    asked = made([{0: 50}] * 20 + [{0: 1}] * 1_000)
    plan = plan_splits(asked, (0.5, 0.5), seed=3)
    where = dict(zip(plan.group.tolist(), plan.split.tolist(), strict=True))
    assert sum(where[100 + number] for number in range(20)) == 10
    assert counted(asked, plan, 2, 0) == [1_000, 1_000]


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.5)])
def test_nothing_is_split_into_nothing(fractions):
    plan = plan_splits(made([]), fractions, seed=0)
    assert len(plan.group) == 0
