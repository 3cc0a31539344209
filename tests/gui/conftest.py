"""Fixtures of the pages: one filled store for each worker, its server, and a real browser."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import gui_harness
import pytest
from chromium_browser import chromium, pytest_runtest_makereport
from guest_house import house
from gui_harness import Scene

__all__ = ["chromium", "house", "pytest_runtest_makereport"]

# Before NiceGUI is imported: it decides then where it may keep what it stores.
os.environ.setdefault("NICEGUI_STORAGE_PATH", os.path.join(tempfile.gettempdir(), "ds-no-storage"))


@pytest.fixture(scope="session")
def scene(database_server: str, database_template: str) -> Iterator[Scene]:
    """A filled store with people, not served."""
    with gui_harness.scene(database_server, database_template) as made:
        yield made


@pytest.fixture(autouse=True)
def scene_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test leaves in the scene and others would see fails that test, and is removed."""
    if "scene" not in request.fixturenames:
        yield
        return
    scene = request.getfixturevalue("scene")
    yield
    left = gui_harness.remove_what_is_left(scene.database)
    assert not left, f"left for the tests that come later: {left}"


@pytest.fixture
def no_grants(scene: Scene) -> Iterator[None]:
    """What is granted in the test, and its groups, are gone after it."""
    yield
    rights = scene.database.rights
    for grant in rights.grants():
        rights.revoke(grant.grant_id)
    for group in rights.groups():
        rights.remove_group(group.name)
    scene.database.read_rights()


@pytest.fixture(scope="session")
def served(scene: Scene) -> Iterator[Scene]:
    """The same store with its pages served."""
    with gui_harness.served(scene) as made:
        yield made
