"""What is said about definitions that are wrong."""

from __future__ import annotations

import json

import pytest
from dataset_house import definition

from base.errors import UsageError
from datasets.choice.definition_file import definition_of, load_definition, read_definition
from datasets.definition.definition import Definition
from datasets.definition.errors import DefinitionError
from datasets.definition.names import parse_name

GOOD = """\
version: 1
name: pets
selector:
  version: 1
  where: {media_type: image, size_bytes: {min: 1000}}
labels:
  from: {result: {action: pet_label, column: label}}
  map: {tabby: cat, junk: null}
splits:
  fractions: {train: 0.8, val: 0.2}
layout: flat
"""


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(DefinitionError) as caught:
        read_definition(text)
    return caught.value.problems


def test_a_good_one_is_read_and_written_back_the_same():
    read = read_definition(GOOD)
    assert read.labels is not None and read.labels.map == {"tabby": "cat", "junk": None}
    assert read.split_names == ("train", "val")
    assert Definition.model_validate(json.loads(json.dumps(read.canonical()))) == read
    assert definition_of(read.canonical()) == read == definition_of(read)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("layout: flat", "layout: flatt", "line 11, layout: there is no layout 'flatt'"),
        ("layout: flat", "layuot: flat", "line 11, layuot: unknown; did you mean layout?"),
        ("min: 1000", "mni: 1000", "line 5, selector.where.size_bytes.mni: unknown"),
        ("val: 0.2", "val: 0.3", "line 9, splits: fractions: their sum is 1.1, not 1"),
        ("val: 0.2", "val: x", "line 10, splits.fractions.val: input should be a valid number"),
        ("column: label", "colum: label", "line 7, labels.from.result.colum: unknown"),
        ("name: pets", "name: Pets!", "line 2, name: string should match pattern"),
        ("name: pets", "name: a\nname: b", "line 3: the key 'name' is there twice"),
        ("name: pets", "name: &a pets\ndescription: *a", "line 3: aliases"),
        ("layout: flat", "dedupe: near_duplicates\nlayout: flat", "needs near_duplicates"),
        ("layout: flat", "layout: {id: flat, options: {x: 1}}", "line 11, layout.options.x"),
        ("version: 1\nname", "name", "definition: `version` is missing"),
    ],
)
def test_mistakes_are_told_with_their_place(old: str, new: str, said: str):
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert any(said in line for line in found), found


@pytest.mark.parametrize("text", ["", "- 1", "a: [", b"\xff", "x: " + "[" * 5_000, "1: 2"])
def test_what_is_no_definition_at_all(text: str | bytes):
    assert len(problems(text)) >= 1


def test_rules_between_the_parts():
    for parts, said in [
        ({"labels": None, "limits": {"per_class_max": 3}}, "needs labels"),
        ({"boxes": {"action": "x"}}, "image_size"),
        ({"sidecars": {"per_file": "txt"}}, "belong together"),
        ({"sidecars": {"per_file": "txt", "caption": "t"}}, "not among `metadata`"),
        ({"near_duplicates": {"action": "x"}}, "belong together"),
        ({"splits": {"fractions": {"a": 0.5, "A": 0.5}}}, "differ only in case"),
    ]:
        document = {k: v for k, v in definition(**parts).items() if v is not None}
        with pytest.raises(DefinitionError) as caught:
            definition_of(document)
        assert said in str(caught.value)


def test_names_and_files(tmp_path):
    assert parse_name("pets") == ("pets", None) and parse_name("pets@12") == ("pets", 12)
    for bad in ("Pets", "pets@0", "pets@x", "../x", ""):
        with pytest.raises(UsageError):
            parse_name(bad)
    with pytest.raises(UsageError, match="cannot be read"):
        load_definition(str(tmp_path / "nothing.yaml"))
