"""What is done with a built version: exports, verification, comparison, lineage, retirement."""

from __future__ import annotations

import os
import shutil

import pytest
from dataset_house import House, Picture, definition, pets
from store_checks import contents_of
from store_harness import with_quota

from base.errors import DrystoneError, UsageError
from datasets.definition.errors import CancelledError, NotFoundError, RefusedError
from datasets.freeze.building import BuildResult, build
from datasets.versions.ancestry import lineage
from datasets.versions.comparison import changes, compare, kinds
from datasets.versions.exports import export, reproduce
from datasets.versions.folders import FolderNames
from datasets.versions.retirement import retire
from datasets.versions.verification import verify
from sql import key_of


def make(house: House, **parts) -> BuildResult:
    return build(house.config_path, definition(**parts), database=house.database)


def tree(folder: str) -> dict[str, bytes]:
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if name not in ("_JOB.json", "_SEALED"):
                with open(os.path.join(root, name), "rb") as file:
                    found[os.path.relpath(os.path.join(root, name), folder)] = file.read()
    return found


def test_a_copy_is_sealed_verified_and_made_again_from_the_manifest_alone(house: House):
    pictures = pets()
    house.add(pictures)
    built = make(house)
    result = export(house.config_path, "pets", database=house.database)
    assert (result.export_id, result.layout_id, result.mode) == ("pets-v1", "flat", "copy")
    assert result.target_root == os.path.join(house.area("3d"), "pets-v1", "flat")
    assert os.path.exists(os.path.join(result.target_root, "_SEALED"))
    assert result.manifest_key == built.manifest_key
    found = tree(result.target_root)
    data = {name: content for name, content in found.items() if name != "dataset.json"}
    assert sorted(data.values()) == sorted(one.data for one in pictures)
    (row,) = house.database.datasets.exports()
    assert (row.state, row.file_count, row.target_root) == ("sealed", 22, result.target_root)
    assert row.seal_time is not None
    # Again is no work; the database is not needed to make it anew.
    assert export(house.config_path, "pets@1", database=house.database).already_sealed
    again = reproduce(house.config_path, built.manifest_key, export_id="twin")
    assert tree(again.target_root) == found
    assert verify(house.config_path, again.target_root).is_whole
    # A tree that was touched is told from one that was not.
    victims = sorted(name for name in found if name.endswith(".png"))
    os.unlink(os.path.join(again.target_root, victims[0]))
    path = os.path.join(again.target_root, victims[1])
    os.chmod(path, 0o644)
    with open(path, "r+b") as file:
        file.write(b"X")
    shutil.copy(path, os.path.join(again.target_root, "stranger.png"))
    report = verify(house.config_path, again.target_root)
    assert report.problems == (
        f"{victims[0]}: is missing",
        f"{victims[1]}: has other bytes",
        "stranger.png: is not in the manifest",
    )
    with pytest.raises(NotFoundError, match="is no export"):
        verify(house.config_path, house.store.root)
    with pytest.raises(UsageError, match="cannot be the id"):
        export(house.config_path, "pets", export_id="a/b", database=house.database)
    with pytest.raises(DrystoneError, match="is another version, layout or mode"):
        export(house.config_path, "pets", mode="view", export_id="pets-v1", database=house.database)


def test_a_view_is_published_at_once_and_retired(house: House):
    house.add(pets())
    built = make(house, mode="view")
    result = export(house.config_path, "pets", database=house.database)
    assert result.mode == "view" and os.listdir(house.area("3d")) == [".datasets"]
    assert contents_of(house.area("3d")) == {}
    (view,) = house.store.client.views()
    assert (view.name, view.manifest_key) == ("exports/pets-v1-view/flat", built.manifest_key)
    copy = export(house.config_path, "pets", mode="copy", database=house.database)
    gone = retire(house.config_path, house.database, "pets@1")
    assert (gone.retired_now, gone.unpublished, gone.left) == (
        True, ("pets-v1-view",), (copy.target_root,),
    )  # fmt: skip
    assert house.store.client.views() == []
    with pytest.raises(UsageError, match="is retired"):
        export(house.config_path, "pets@1", database=house.database)
    with pytest.raises(DrystoneError, match="all its versions are retired"):
        export(house.config_path, "pets", database=house.database)
    again = retire(house.config_path, house.database, "pets@1", remove_copies=True)
    assert (again.retired_now, again.removed) == (False, ("pets-v1",))
    assert not os.path.exists(os.path.dirname(copy.target_root))
    # The same definition brings it back, and its manifest was there all the time.
    assert (make(house, mode="view").version, make(house, mode="view").created) == (1, False)
    back = export(house.config_path, "pets", mode="copy", database=house.database)
    assert verify(house.config_path, back.target_root).is_whole


def test_a_purge_takes_nothing_that_a_version_names(house: House):
    house.add(pets())
    built = make(house)
    client = house.store.client
    (pin,) = client.pins()
    assert pin.manifest == built.manifest_key
    assert client.wait(client.purge("pets-1").job_id).state == "done"
    result = export(house.config_path, "pets", database=house.database)
    assert verify(house.config_path, result.target_root).is_whole
    retire(house.config_path, house.database, "pets@1")
    assert client.pins() == []


def test_what_may_not_be_used_any_more_is_not_exported(house: House):
    pictures = pets()
    house.add(pictures)
    make(house)
    house.flag(pictures[0].key, is_delete=True)
    with pytest.raises(RefusedError, match="1 files of pets@1 were deleted since"):
        export(house.config_path, "pets", database=house.database)
    assert house.database.datasets.exports() == []
    allowed = export(house.config_path, "pets", allow_deleted=True, database=house.database)
    assert allowed.files == 22
    house.flag(pictures[1].key, in_black_list=True)
    with pytest.raises(RefusedError, match="are on the black list now"):
        export(
            house.config_path, "pets", export_id="x", allow_deleted=True, database=house.database
        )


def test_cancelled_failed_and_run_again(house: House):
    house.add(pets())
    make(house)
    with pytest.raises((CancelledError, DrystoneError)):
        export(house.config_path, "pets", cancelled=lambda: True, database=house.database)
    (row,) = house.database.datasets.exports()
    assert row.state == "failed" and row.reason
    result = export(house.config_path, "pets", database=house.database)
    assert verify(house.config_path, result.target_root).is_whole
    (row,) = house.database.datasets.exports()
    assert (row.state, row.reason) == ("sealed", None)
    # A file that the store has no bytes of: told by name, and no version is made.
    lost = house.describe_only(Picture("lost", 1))
    with pytest.raises(DrystoneError, match=f"the store has no object {lost}"):
        make(house, labels={**definition()["labels"], "unlabelled": "keep"})
    assert [one.version for one in house.database.datasets.versions("pets")] == [1]
    # A row that a killed run left is put right by the same export again.
    house.change("UPDATE dataset_export SET state = 'running', seal_time = NULL")
    assert export(house.config_path, "pets@1", database=house.database).already_sealed
    assert house.database.datasets.exports(export_id="pets-v1")[0].state == "sealed"


def test_a_quota_that_is_too_small_is_told_before_anything_is_copied(house: House):
    pictures = [Picture(f"p{number}", number, ("cat",), data=b"%d" % number * 4_000_000)
                for number in range(4)]  # fmt: skip
    house.add(pictures)
    make(house, splits={"fractions": {"all": 1.0}})
    house.store.stop()
    with_quota(house.store.root, exports_bytes=1_000_000)
    house.restart()
    with pytest.raises(DrystoneError, match="3d"):
        export(house.config_path, "pets", database=house.database)
    assert not os.path.exists(os.path.join(house.area("3d"), "pets-v1"))
    assert house.database.datasets.exports()[0].state == "failed"
    assert export(house.config_path, "pets", mode="view", database=house.database).files == 5


def test_two_versions_are_compared_and_lineage_leads_both_ways(house: House):
    pictures = pets(20, 20)
    house.add(pictures)
    make(house)
    house.flag(pictures[0].key, is_delete=True)
    house.change("UPDATE result_pet_label SET label = 'dog' WHERE node_id = "
                 f"{house.node(pictures[1].key)}")  # fmt: skip
    new = Picture("new", 99, ("cat",))
    house.add([new])
    # Another order of splits: what was in train is moved.
    names = {"fractions": {"val": 0.4, "test": 0.6}, "keep": "none", "seed": 5}
    make(house, splits=names)
    found = compare(house.database, "pets@1", "pets@2")
    listed = {one.key: kinds(one) for one in changes(house.database, "pets@1", "pets@2")}
    assert (found.added, found.removed, found.relabelled) == (1, 1, 1)
    assert listed[new.key] == ["added"] and listed[pictures[0].key] == ["removed"]
    assert "relabelled" in listed[pictures[1].key]
    assert found.relabels == {"cat -> dog": 1} and not found.same_manifest
    assert found.moved == sum("moved" in one for one in listed.values()) > 0
    assert sum(found.moves.values()) == found.moved
    same = compare(house.database, "pets@2", "pets")
    assert (same.added, same.moved, same.same_manifest) == (0, 0, True)
    # From a file of an export up to its post and author, and from the post down to datasets.
    exported = export(house.config_path, "pets", database=house.database)
    path = next(
        os.path.join(root, name)
        for root, _, files in os.walk(exported.target_root)
        for name in files
        if name.startswith(new.key)
    )
    up = lineage(house.config_path, house.database, path)
    assert up.key == new.key and up.export is not None and up.export["id"] == "pets-v2"
    assert [one.description for one in up.ancestors] == [None, "pets:post:new", "pets:user:n"]
    assert [one.depth for one in up.ancestors] == [0, 1, 2]
    assert [(one.name, one.version, one.label) for one in up.datasets] == [("pets", 2, "cat")]
    down = lineage(house.config_path, house.database, f"pets:post:{pictures[2].post}")
    assert [(one.version, one.files, one.split) for one in down.datasets] == [
        (1, 2, None), (2, 2, None),
    ]  # fmt: skip
    assert lineage(house.config_path, house.database, new.key).node_id == up.node_id
    assert key_of("pets:post:new") in {one.key for one in up.ancestors}
    with pytest.raises(UsageError, match="made for the whole dataset"):
        lineage(house.config_path, house.database, f"{exported.target_root}/dataset.json")
    with pytest.raises(UsageError, match="is no file here"):
        lineage(house.config_path, house.database, "nothing")


def test_names_of_a_folder_are_found_at_once_and_fit():
    names = FolderNames()
    found = [names.free("image.jpg") for _ in range(20_000)]
    assert found[:3] == ["image.jpg", "image (2).jpg", "image (3).jpg"]
    assert found[-1] == "image (20000).jpg" and len(set(found)) == 20_000
    assert names.free("image (2).jpg") == "image (2) (2).jpg"
    assert names.free("IMAGE.jpg") != "IMAGE.jpg", "on some filesystems it is the same"
    longest = "ä" * 125 + ".jpg"
    assert names.free(longest) == longest
    again = [names.free(longest) for _ in range(3)]
    assert len(set(again)) == 3 and all(len(one.encode()) <= 255 for one in again)
