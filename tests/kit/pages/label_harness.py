"""Questions to people for tests of labelling: it owns their contracts and runs, no test."""

from __future__ import annotations

import io
import json
import os
import random

import yaml
from gui_harness import PASSWORD, Scene
from PIL import Image
from runs_harness import Workshop
from store_harness import write_files

from adapters import Signal, run_ingest
from gui.access.people import add_user
from sql import Selector, parse_selector

LABELLERS = ("lea", "lou")


def add_labellers(work: Workshop) -> None:
    """Add people who only label."""
    for name in LABELLERS:
        add_user(work.database, name, "labeller", PASSWORD)


def add_files(work: Scene, name: str, files: dict[str, bytes]) -> None:
    """Bring a folder in."""
    folder = write_files(os.path.join(work.store.config.area_path("3a"), name), files)
    signal = Signal(folder, name, "plain-folder", "tester")
    run_ingest(work.store.config_path, signal, database=work.database)


def of_batch(name: str) -> Selector:
    """Return what finds the nodes of an ingest batch."""
    return parse_selector(f"{{version: 1, where: {{ingest_batch: {name}}}}}")


def pictures(count: int, extension: str = "jpg") -> dict[str, bytes]:
    """Pictures of 400 x 300 pixels that can be told apart."""
    shades = random.Random(f"{extension}{count}")
    files: dict[str, bytes] = {}
    for number in range(count):
        image = Image.new("RGB", (400, 300), tuple(shades.randrange(256) for _ in range(3)))
        file = io.BytesIO()
        image.save(file, "JPEG" if extension == "jpg" else "BMP")
        files[f"{number}.{extension}"] = file.getvalue()
    return files


def turned_picture() -> bytes:
    """A picture of 400 x 300 pixels that EXIF says to turn by 90 degrees."""
    image = Image.new("RGB", (400, 300), (250, 250, 250))
    image.paste((200, 30, 30), (100, 200, 200, 260))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


def ask(
    work: Workshop,
    name: str,
    number: int,
    classes: list[str],
    extension: str,
    *,
    kind: str = "classification",
    labellers: int = 1,
    question: str = "What is it?",
) -> int:
    """Begin a run that asks people about files of an extension; returns its event."""
    columns = ("label", "x", "y", "width", "height") if kind == "boxes" else ("label",)
    document = {
        "contract": 1,
        "action_id": number,
        "name": name,
        "type": "AC5",
        "version": 1,
        "description": "A question under test",
        "input_selector": {"version": 1, "where": {"extension": extension}},
        "label_task": {
            "kind": kind, "question": question, "classes": classes, "labellers": labellers,
        },
        "stage_layout": {
            "layout_id": "tasks",
            "files": [{"path": "files/{node.node_id}.{node.extension}"}],
        },
        "output_parser": {
            "outputs": [
                {
                    "name": "annotations", "glob": "*.json", "format": "label_studio",
                    "input": {"field": "data.key", "equals": "key"},
                    "results": {"label": "label"},
                }
            ]
        },
        "result_schema": {
            column: {
                "type": "text" if column == "label" else "double precision",
                "description": "What people say",
            }
            for column in columns
        },
    }  # fmt: skip
    folder = os.path.join(work.yard.root, "actions", name)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
        yaml.safe_dump(json.loads(json.dumps(document)), file)
    # On the path only after runs_harness.
    from jobs_harness import until

    run_id = work.yard.act(name)
    until(lambda: work.yard.task_states(run_id).get(("labels", 0)) == "waiting_labels")
    found = [run for run in work.database.labels.runs() if run.run_reference == f"run:{run_id}"]
    assert len(found) == 1
    return found[0].event_id
