"""Actions for tests that kill things: it owns their contracts and programs, and what they leave.

Each exists under any name, so that a run that nobody disturbed can be compared with one that was.
"""

from __future__ import annotations

import os

from action_house import MEASURE, ActionYard

PARTS = 2
PICTURES = 4
PICTURE_BYTES = 400_000
"""Two of them fit into the least size of a part."""

HALVES = """
contract: 1
action_id: {number}
name: {name}
type: AC4
version: 1
description: Two texts of each picture but one, and an output that nobody asked for
input_selector: {{version: 1, where: {{extension: png}}}}
batch_size_bytes: 1048576
parameters:
  tag: {{type: text, default: calm}}
stage_layout:
  layout_id: halves
  files: [{{path: "in/{{node.node_id}}.png"}}]
  listings: [{{path: list.txt, format: txt, line: "{{file.path}}"}}]
run_spec:
  runner: shell
  command: [/bin/sh, "{{contract}}/program.sh", "{{input}}", "{{output}}", "{{parameters.tag}}"]
  timeout_s: 60
  partial_codes: [3]
output_parser:
  outputs:
    - name: halves
      glob: "*.txt"
      regex: "(?P<stem_of>[0-9]+)-(?P<half>[01])[.]txt"
      format: file
      input: {{field: stem_of, equals: stem}}
      child: {{relationship: half, is_root: false, position: half, title: "half {{half}}"}}
    - name: sizes
      glob: sizes.jsonl
      format: jsonl
      input: {{field: file, equals: stem}}
      results: {{size_bytes: size}}
result_schema:
  size_bytes: {{type: bigint, description: Size}}
"""
HALVES_PROGRAM = """
first=$(head -1 "$1/list.txt")
while read path; do
  name=$(basename "${path%.png}")
  size=$(stat -c %s "$1/$path")
  if [ "$path" = "$first" ]; then echo odd > "$2/strange-$size.bin"; continue; fi
  sum=$(sha256sum "$1/$path")
  echo "$3 ${sum%% *} 0" > "$2/$name-0.txt"
  echo "$3 ${sum%% *} 1" > "$2/$name-1.txt"
  echo "{\\"file\\": \\"$name\\", \\"size\\": $size}" >> "$2/sizes.jsonl"
done < "$1/list.txt"
echo '{"file": "nobody", "size": 1}' >> "$2/sizes.jsonl"
exit 3
"""


def add_pair(yard: ActionYard, mark: str, number: int) -> tuple[str, str]:
    """Write an action that measures and one that makes children; returns their names."""
    measure, halves = f"measure_{mark}", f"halves_{mark}"
    yard.add_action(measure, MEASURE, number=number)
    folder = os.path.join(yard.root, "actions", halves)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "contract.yaml"), "w", encoding="utf-8") as file:
        file.write(HALVES.format(name=halves, number=number + 1))
    with open(os.path.join(folder, "program.sh"), "w", encoding="utf-8") as file:
        file.write(HALVES_PROGRAM)
    return measure, halves


def left_by(yard: ActionYard, run_id: int) -> dict[str, list[tuple]]:
    """Return all that a run left in the database, without the numbers that differ by run."""
    ((event_id, action),) = yard.rows(
        "SELECT event.id, action.name FROM action_event_detail AS detail "
        "JOIN action_event AS event ON event.id = detail.action_event_id JOIN action USING "
        f"(action_id) WHERE detail.run_reference = 'run:{run_id}'"
    )
    event = f"WHERE action_event_id = {event_id}"
    return {
        "event": yard.rows(
            "SELECT event.status, detail.state, end_time IS NOT NULL FROM action_event AS event "
            f"JOIN action_event_detail AS detail ON id = detail.action_event_id WHERE id={event_id}"
        ),
        "outcomes": yard.rows(
            f"SELECT node_id, part, outcome, reason FROM action_node {event} ORDER BY 1"
        ),
        "results": yard.rows(
            f'SELECT node_id, size_bytes FROM "result_{action}" {event} ORDER BY 1, 2'
        ),
        "superseded": yard.rows(f"SELECT node_id FROM superseded_result {event}"),
        "quarantine": yard.rows(
            "SELECT part, path, record_number, node_id, reason, encode(sha256, 'hex') "
            f"FROM quarantine {event} ORDER BY 1, 2, 3"
        ),
        "children": yard.rows(
            "SELECT edge.parent_node_id, meta.path, edge.position, content.file_size_bytes, "
            "common.title, common.is_root, relationship.description "
            "FROM meta_generated AS meta JOIN edge ON edge.child_node_id = meta.node_id "
            "JOIN relationship USING (relationship_id) "
            "JOIN physical_content AS content ON content.node_id = meta.node_id "
            "JOIN common_metadata AS common ON common.node_id = meta.node_id "
            f"WHERE meta.event_id = {event_id} ORDER BY 1, 2"
        ),
        "intents": yard.rows(
            f"SELECT intent_id FROM write_intent WHERE intent_id LIKE 'action:{event_id}:%' "
            "ORDER BY 1"
        ),
    }


def without_event(left: dict[str, list[tuple]]) -> dict[str, object]:
    """Return what two equal runs have in common, to be compared."""
    return {**left, "intents": len(left["intents"])}


def leftovers(yard: ActionYard) -> list[str]:
    """Return what lies in 3C that should not, folders too, and what is still reserved."""
    yard.staged()  # It waits until what was released is gone.
    root = yard.store.config.area_path("3c")
    found = [
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, names in os.walk(root)
        for name in (*names, *folders)
    ]
    own = {".tmp", ".outputs", ".views"}
    area = next(one for one in yard.store.client.capacity().areas if one.area == "3c")
    held = [f"{area.reserved_bytes} bytes reserved"] if area.reserved_bytes else []
    return [path for path in found if path not in own] + held
