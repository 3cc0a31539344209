"""Builds on a real store and database: what enters, what is refused, what is kept."""

from __future__ import annotations

import json
import os
import threading

import pytest
from dataset_house import House, Picture, definition, pets

from base.errors import DrystoneError
from datasets.definition.errors import CancelledError, DefinitionError, RefusedError
from datasets.freeze.building import BuildResult, build
from datasets.versions.previews import preview


def make(house: House, **parts) -> BuildResult:
    return build(house.config_path, definition(**parts), database=house.database)


def refused(house: House, **parts) -> str:
    with pytest.raises(RefusedError) as caught:
        make(house, **parts)
    return str(caught.value)


def members(house: House, result: BuildResult) -> list:
    version = house.database.datasets.version(result.name, result.version)
    return list(house.database.datasets.members(version.dataset_version_id))


def diagonal(matrix: list[list[int]]) -> bool:
    return not any(
        count
        for place, row in enumerate(matrix)
        for other, count in enumerate(row)
        if place != other
    )


def test_a_dataset_is_built_registered_and_the_same_again(house: House):
    pictures = pets()
    house.add(pictures)
    result = make(house)
    assert (result.name, result.version, result.created, result.files) == ("pets", 1, True, 21)
    paths = {entry["path"]: entry for entry in house.manifest(result.manifest_key)}
    assert "dataset.json" in paths and len(paths) == 22
    by_key = {entry.get("key"): path for path, entry in paths.items()}
    for one in pictures:
        split, label, name = by_key[one.key].split("/")
        assert (label, name) == (one.labels[0], f"{one.key}.png")
        assert split in ("train", "val", "test")
    # Pictures of one post are in one split.
    posts = {(one.post, by_key[one.key].split("/")[0]) for one in pictures}
    assert len(posts) == len({post for post, _ in posts})
    assert all(diagonal(matrix) for matrix in result.report.leakage.values())
    assert set(result.report.leakage) == {"component", "tree", "bytes"}
    assert all(all(counts.values()) for counts in result.report.classes.values())
    assert {(one.key, one.split, one.label) for one in members(house, result)} == {
        (one.key, by_key[one.key].split("/")[0], one.labels[0]) for one in pictures
    }
    again = make(house)
    assert (again.created, again.version) == (False, 1)
    assert again.manifest_key == result.manifest_key and again.report == result.report
    # The document beside it tells everything.
    document = house.document(result.document_key)
    assert document["manifest_key"] == result.manifest_key and document["seed"] == 7
    assert "SELECT" in document["sql"]["statement"] and document["report"]["files"] == 21
    # Nothing of the work is left, and whoever looks sees what was kept.
    assert os.listdir(os.path.join(house.area("3d"), ".datasets")) == []


def test_what_may_not_enter_is_counted_by_reason(house: House):
    pictures = pets(10, 10)
    house.add(pictures)
    keys = [one.key for one in pictures]
    house.flag(keys[0], in_black_list=True)
    house.flag(keys[1], is_delete=True)
    # A pipeline of two actions, of which one node has been through the first only.
    batch = house.batch_of(house.event("first", "done", [house.node(keys[2]), house.node(keys[3])]))
    house.event("second", "done", [house.node(keys[3])])
    actions = dict(house.rows("SELECT name, action_id FROM action"))
    house.database.action_context.declare_pipeline(
        "both", [actions["first"], actions["second"]], ""
    )
    house.database.pipelines.enrol("both", [batch])
    house.add([Picture("x1", 1), Picture("x2", 2, ("cat", "dog")), Picture("x3", 3, ("fish",))])
    parts = {
        "selector": {"version": 1},
        "labels": {
            "from": {"result": {"action": "pet_label", "column": "label"}},
            "classes": ["dog", "cat"],
            "unlabelled": "drop",
            "multiple": "drop",
        },
        "filters": {"not_four": {"not": {"key": keys[4]}}},
    }
    result = make(house, **parts)
    virtual = house.rows("SELECT count(*) FROM node WHERE is_virtual")[0][0]
    assert result.report.excluded == {
        "black_listed": 1,
        "deleted": 1,
        "doubly_labelled": 1,
        "filter_not_four": 1,
        "label_not_among_classes": 1,
        "no_file": virtual,
        "pipeline_incomplete": 1,
        "unlabelled": 1,
    }
    assert result.files == 16
    assert list(result.report.classes) == ["dog", "cat"]
    # Asked for by name, the pipeline must be complete for all: one node is.
    named = {**parts, "require_complete": ["both"], "splits": {"missing_class": "allow"}}
    assert make(house, **named).files == 1
    # Nothing asked for: the incomplete one enters.
    assert make(house, **{**parts, "require_complete": []}).files == 17
    with pytest.raises(DrystoneError, match="did you mean both"):
        make(house, **{**parts, "require_complete": ["bot"]})


def test_policies_of_labels(house: House):
    house.add(pets(6, 6))
    house.add([Picture("x1", 1), Picture("x2", 2, ("dog", "cat", "cat"))])
    source = {"from": {"result": {"action": "pet_label", "column": "label"}}}
    text = refused(house)
    assert "1 files are unlabelled" in text and Picture("x1", 1).key in text
    labels = {**source, "unlabelled": "drop"}
    assert "1 files are doubly labelled" in refused(house, labels=labels)
    double = Picture("x2", 2).key

    def label_of(multiple: str, **more):
        built = make(house, labels={**labels, "multiple": multiple, **more})
        (found,) = [one for one in members(house, built) if one.key == double]
        return found.label, found.other_labels

    assert label_of("first") == ("dog", None)
    assert label_of("last") == ("cat", None)
    assert label_of("vote") == ("cat", None)
    assert label_of("all", classes=["dog", "cat"]) == ("dog", '["cat"]')
    kept = make(house, labels={**source, "unlabelled": "keep", "multiple": "vote"})
    (plain,) = [one for one in members(house, kept) if one.label is None]
    assert plain.key == Picture("x1", 1).key
    # Renamed, and one of two labels that are the same afterwards.
    mapped = {**source, "map": {"dog": "pet", "cat": "pet"}, "unlabelled": "drop"}
    built = make(house, labels=mapped)
    assert set(built.report.classes) == {"pet"} and built.files == 13
    assert "nothing is left" in refused(
        house, labels={**source, "map": {"dog": None, "cat": None}, "unlabelled": "drop"}
    )


def test_labels_from_everywhere(house: House):
    pictures = [
        Picture(f"{author}{number}", number, extra={"tags": [author, "pet"]}, title=f"t{author}")
        for author in "ab"
        for number in range(6)
    ]
    house.add(pictures)
    sources = {
        "result": {"result": {"action": "pet_label", "column": "tags"}},
        "metadata": {"metadata": {"field": "title"}},
        "parent": {"metadata": {"field": "title"}, "of": "parent"},
        "root": {"metadata": {"field": "source"}, "of": "tree_root"},
        "tree": {"tree": {"ancestor": "pets:user"}},
    }
    classes = {}
    for name, source in sources.items():
        labels = {"from": source, "multiple": "all"}
        built = make(house, labels=labels, splits={"missing_class": "allow"})
        classes[name] = {label: counts["all"] for label, counts in built.report.classes.items()}
    assert classes.pop("parent") == {f"A post of {one.post}": 1 for one in pictures}
    assert classes == {
        "result": {"a": 6, "b": 6, "pet": 12},
        "metadata": {"ta": 6, "tb": 6},
        "root": {"pets": 12},
        "tree": {"a": 6, "b": 6},
    }
    with pytest.raises(DrystoneError, match="has no column 'tag'; did you mean tags"):
        make(house, labels={"from": {"result": {"action": "pet_label", "column": "tag"}}})
    with pytest.raises(DrystoneError, match="did you mean pet_label"):
        make(house, labels={"from": {"result": {"action": "pet_labl", "column": "tags"}}})


def test_limits_and_near_duplicates(house: House):
    # Two pictures of different posts look alike; group 9 has three.
    pictures = [
        Picture(f"p{number}", number, ("cat" if number % 3 else "dog",), extra={"group_id": group})
        for number, group in enumerate([1, 1, 2, 3, 9, 9, 9, 4, 5, 6, 7, 8])
    ]
    house.add(pictures)
    near = {"near_duplicates": {"action": "pet_label", "column": "group_id"}}
    splits = {"fractions": {"train": 0.5, "test": 0.5}, "missing_class": "allow"}
    built = make(house, **near, splits=splits)
    where = {one.key: one.split for one in members(house, built)}
    assert len({where[pictures[number].key] for number in (4, 5, 6)}) == 1
    assert len({where[pictures[number].key] for number in (0, 1)}) == 1
    assert diagonal(built.report.leakage["near"]) and built.report.groups == 9
    one_each = make(house, **near, splits=splits, dedupe="near_duplicates")
    assert one_each.files == 9 and one_each.report.excluded == {"near_duplicate": 3}
    even = make(house, splits=splits, limits={"balance": "undersample"})
    assert {label: sum(row.values()) for label, row in even.report.classes.items()} == {
        "cat": 4,
        "dog": 4,
    }
    assert even.report.excluded == {"over_class_limit": 4}
    few = make(house, splits=splits, limits={"total_max": 5})
    assert few.files == 5
    assert "fewer than 5 files: dog (4)" in refused(house, limits={"per_class_min": 5})
    cats = make(house, splits=splits, limits={"per_class_min": 5, "below_min": "drop"})
    assert list(cats.report.classes) == ["cat"] and cats.files == 8
    grouped = make(house, **near, splits=splits, limits={"per_group_max": 1})
    assert grouped.files == 9


def test_splits_stay_when_data_are_added_and_trees_grow_together(house: House):
    house.add(pets(20, 20))
    first = make(house)
    before = {one.key: one.split for one in members(house, first)}
    more = [Picture(f"n{number}", number, ("cat",)) for number in range(20)]
    house.add(more)
    second = make(house)
    after = {one.key: one.split for one in members(house, second)}
    assert (second.version, len(after)) == (2, 60)
    assert {key: after[key] for key in before} == before
    assert second.report.former is not None and second.report.former.groups_merged == 0
    # A post joins a picture of train with one of test: train takes all of both.
    train = next(key for key, split in before.items() if split == "train")
    test = next(key for key, split in before.items() if split == "test")
    house.join([train, test], "joined")
    third = make(house)
    now = {one.key: one.split for one in members(house, third)}
    assert now[test] == now[train] == "train"
    assert third.report.former is not None
    assert third.report.former.groups_merged == 1 and third.report.former.files_moved >= 1
    free = make(house, splits={**definition()["splits"], "keep": "none", "seed": 8})
    assert free.report.former is None


def test_a_preview_copies_nothing(house: House):
    house.add(pets())
    found = preview(house.config_path, definition(), database=house.database)
    assert found.report.files == 21 and found.classes == ("cat", "dog")
    assert {sample.split for sample in found.samples} == {"train", "val", "test"}
    assert all(path.endswith(".png") for path in found.paths)
    assert found.room.fits and not found.eta_measured
    assert house.database.datasets.versions() == []
    assert "missing from a split" in refused(
        house, splits={"fractions": {"a": 0.1, "b": 0.1, "c": 0.1, "d": 0.7}},
        selector={"version": 1, "where": {"media_type": "image"}, "limit": 4},
    )  # fmt: skip
    empty = {"version": 1, "where": {"media_type": "video"}}
    assert "the selector finds nothing" in refused(house, selector=empty)
    with pytest.raises(DefinitionError, match=r"layout\.options\.paht: unknown"):
        make(house, layout={"id": "flat", "options": {"paht": "x"}})


def test_cancelled_and_built_twice_at_once(house: House):
    house.add(pets())
    with pytest.raises(CancelledError):
        build(house.config_path, definition(), cancelled=lambda: True, database=house.database)
    assert house.database.datasets.versions() == []
    inside, leave = threading.Event(), threading.Event()

    def wait(phase: str, _rows: int) -> None:
        if phase == "splitting":
            inside.set()
            assert leave.wait(60)

    results = []
    other = threading.Thread(
        target=lambda: results.append(
            build(house.config_path, definition(), wait, database=house.database)
        )
    )
    other.start()
    assert inside.wait(60)
    try:
        with pytest.raises(DrystoneError, match="is being built by another process"):
            make(house)
        assert preview(house.config_path, definition(), database=house.database).report.files == 21
    finally:
        leave.set()
        other.join()
    assert results[0].created and results[0].version == 1


def test_boxes_sizes_and_sidecars(house: House):
    pictures = [
        Picture(f"p{number}", number, extra={"width": 100, "height": 50}) for number in range(5)
    ]
    house.add([*pictures, Picture("nosize", 9)])
    keys = [one.key for one in pictures]
    house.boxes(
        [(key, "cat", -10.0, 0.0, 30.0, 20.0) for key in keys]
        + [(keys[0], "dog", 90.0, 40.0, 50.0, 50.0), (keys[0], "dog", 200.0, 0.0, 5.0, 5.0)]
        + [(Picture("nosize", 9).key, "cat", 0.0, 0.0, 1.0, 1.0)]
    )
    size = {
        name: {"result": {"action": "pet_label", "column": name}} for name in ("width", "height")
    }
    built = make(
        house,
        labels={"from": {"result": {"action": "pet_box", "column": "label"}}, "multiple": "all"},
        boxes={"action": "pet_box"},
        image_size=size,
        splits={"missing_class": "allow"},
        metadata={"title": {"metadata": {"field": "title"}, "of": "parent"}},
        sidecars={"per_file": "json"},
    )
    assert built.files == 5 and built.report.excluded == {"image_width_unknown": 1}
    texts = {
        entry["path"]: json.loads(entry["text"])
        for entry in house.manifest(built.manifest_key)
        if "text" in entry
    }
    facts = next(text for path, text in texts.items() if path.endswith(f"{keys[0]}.json"))
    assert facts["labels"] == ["cat", "dog"] and facts["metadata"] == {"title": "A post of p0"}
    assert [(box["label"], box["x"], box["width"]) for box in facts["boxes"]] == [
        ("cat", 0.0, 20.0),
        ("dog", 90.0, 10.0),
    ]
