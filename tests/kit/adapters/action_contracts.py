"""Contracts for tests: it owns a few that are right, as YAML, and no test."""

from __future__ import annotations

AC2 = """\
action_id: 501
name: measure
type: AC2
version: 1
description: Measures every picture
input_selector: {version: 1, where: {media_type: image}}
stage_layout:
  layout_id: plain
  files:
    - path: "in/{node.key}.{node.extension}"
  sidecars:
    - path: "{file.path}.json"
      format: json
      content: {title: "{metadata.title}", nested: {size: ["{node.size_bytes}"]}}
  listings:
    - path: "list/all.csv"
      format: csv
      columns: {file: "{file.path}", number: "{index:04}"}
run_spec:
  runner: shell
  command: ["/bin/cp", "-r", "{input}/in", "{output}"]
  environment: {allow: [LANG], set: {PART: "{part}"}}
output_parser:
  outputs:
    - name: sizes
      glob: "*.json"
      format: json
      input: {field: key, equals: key}
      results: {width: width}
result_schema:
  width: {type: integer, description: Width in pixels}
"""

AC4 = """\
action_id: 502
name: shrink
type: AC4
version: 3
description: Makes small pictures
parameters:
  size: {type: integer, default: 100, min: 1, max: 4000}
  mode: {type: text, default: fit, one_of: [fit, fill]}
stage_layout:
  layout_id: deep
  mode: copy
  files:
    - path: "{node.media_type}/{index:06}_{metadata.title}.{node.extension}"
    - path: "originals/{parent.key}.{parent.extension}"
      of: {side: parent, relationship: contains}
    - path: "parts/{node.key}/{number}.{child.extension}"
      of: {side: child}
  listings:
    - {path: "names.txt", format: txt, line: "{file.name} {parent.description}"}
  empty_folders: ["done/{parameters.mode}"]
run_spec:
  runner: shell
  command: ["shrink", "--size={parameters.size}", "{input}"]
  gate: approval
  working_directory: input
output_parser:
  outputs:
    - name: small
      glob: "done/**/*.png"
      regex: "done/[^/]+/(?P<stem_of_input>.+)_(?P<n>[0-9]+)[.]png"
      format: file
      input: {field: stem_of_input, equals: stem}
      child: {relationship: variant of, is_root: false, position: n}
"""

AC1 = """\
action_id: 503
name: starred
type: AC1
version: 1
description: Marks what somebody likes
tagging: {values: {stars: 5, why: by hand}}
result_schema:
  stars: {type: integer, description: How many}
  why: {type: text, description: Who says so}
"""

AC5 = """\
action_id: 504
name: which_animal
type: AC5
version: 1
description: People say which animal it is
label_task: {kind: classification, classes: [cat, dog], labellers: 2}
stage_layout:
  layout_id: tasks
  files: [{path: "{node.key}.{node.extension}"}]
  listings:
    - {path: tasks.json, format: label_studio, columns: {title: "{metadata.title}"}}
    - {path: coco.json, format: coco, columns: {size_bytes: "{node.size_bytes}"}}
"""

AC3 = (
    """\
action_id: 505
name: tagged
type: AC3
version: 1
description: Words of a model that comes in an image, with a list of its own
pins: {files: {words: "WORDS", weights: "WEIGHTS"}, image: "sha256:IMAGE"}
stage_layout:
  layout_id: plain
  files: [{path: "in/{node.key}.{node.extension}"}]
run_spec:
  runner: docker
  image: tagger@sha256:IMAGE
  command: [tag, "{input}", "--words={model.words}", "--weights={model.weights}"]
  gate: gpu_ready
output_parser:
  outputs:
    - name: tags
      glob: tags.csv
      format: csv
      input: {field: file, equals: stem}
      results: {word: word}
result_schema:
  word: {type: text, description: The word}
""".replace("WORDS", "1" * 64)
    .replace("WEIGHTS", "2" * 64)
    .replace("IMAGE", "3" * 64)
)

ALL = {"AC1": AC1, "AC2": AC2, "AC3": AC3, "AC4": AC4, "AC5": AC5}
