"""The image folder, loaded by Hugging Face `datasets` in an environment of its own.

That package and our folder have one name, so it can never be installed beside us: it gets a virtual
environment below ours, made once.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys

import pytest
from test_layouts import definition, make_rows, write

REQUIREMENTS = ("datasets>=4,<6", "pillow>=12,<14")
INSTALL_S_MAX = 280
LOADER = """
import json, sys
from datasets import load_dataset
found = load_dataset("imagefolder", data_dir=sys.argv[1], **json.loads(sys.argv[2]))
print(json.dumps({
    split: [
        [row["image"].size, rows.features["label"].int2str(row["label"])
         if hasattr(rows.features["label"], "int2str") else row["label"], row.get("title")]
        for row in rows
    ]
    for split, rows in found.items()
}))
"""


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter of that environment; skipped where nothing can be installed."""
    folder = os.path.join(sys.prefix, "environments", "huggingface")
    os.makedirs(folder, exist_ok=True)
    done, interpreter = os.path.join(folder, "done"), os.path.join(folder, "bin", "python")
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = "\n".join(REQUIREMENTS)
        with open(done, "a+", encoding="utf-8") as file:
            file.seek(0)
            made = file.read() == wanted
        if not made:
            # Our pip installs, and the few modules that are used are compiled when they are.
            pip = [sys.executable, "-m", "pip", "--python", interpreter]
            for command in (
                [sys.executable, "-m", "venv", "--without-pip", folder],
                [*pip, "install", "-q", "--no-compile", *REQUIREMENTS],
            ):
                result = subprocess.run(command, capture_output=True, timeout=INSTALL_S_MAX)
                if result.returncode != 0:
                    pytest.skip(f"no environment for Hugging Face: {result.stderr[-300:]!r}")
            with open(done, "w", encoding="utf-8") as file:
                file.write(wanted)
    return interpreter


def load(python: str, tree: str, home: str, **options: object) -> dict:
    environment = {
        "PATH": os.defpath,
        "HOME": home,
        "HF_HOME": os.path.join(home, "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    result = subprocess.run(
        [python, "-I", "-c", LOADER, tree, json.dumps(options)],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
        timeout=INSTALL_S_MAX,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.seconds(20)
@pytest.mark.parametrize("folders", [True, False])
def test_imagefolder_is_loaded(python, tmp_path, folders):
    rows = make_rows()
    index = "none" if folders else "metadata.jsonl"
    given = definition("imagefolder", index=index, class_folders=folders)
    tree = tmp_path / "tree"
    os.makedirs(tree)
    write(str(tree), given, rows)
    os.rmdir(tree / ".work")
    found = load(python, str(tree), str(tmp_path), **({"drop_labels": False} if folders else {}))
    for split in ("train", "validation"):
        wanted = [
            [[row.width, row.height], row.label, None if folders else row.metadata["title"]]
            for row in rows
            if row.split == split
        ]
        assert sorted(found[split], key=str) == sorted(wanted, key=str)
