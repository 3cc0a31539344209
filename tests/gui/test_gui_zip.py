"""A zip of files: it comes from the store a piece at a time, and says what is not in it."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile

from gui_harness import Scene
from store_checks import put
from store_harness import write_files

from datasets import NamedFile
from fsd import PIECE_BYTES
from gui.server.zip_routes import MISSING, parts_of


def test_files_of_all_sizes_are_in_it_and_those_that_are_not_are_listed(scene: Scene, short_tmp):
    files = {
        "empty": b"",
        "one": b"x",
        "piece": os.urandom(PIECE_BYTES),
        "more": os.urandom(2 * PIECE_BYTES + 7),
    }
    put(scene.store, write_files(os.path.join(short_tmp, "source"), files), "zipped")
    keys = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    named = [
        NamedFile(f"a\\{name}", number, keys[name], len(files[name]))
        for number, name in enumerate(files)
    ]
    parts = list(parts_of(scene.store.client, [*named, NamedFile("lost", 99, "0" * 64, 1)]))
    assert max(map(len, parts)) < 2 * PIECE_BYTES
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        for name, data in files.items():
            assert archive.read(f"a_{name}") == data
        assert archive.read(MISSING).startswith(b"lost: there is no object")
