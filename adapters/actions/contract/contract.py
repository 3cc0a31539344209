"""The action contract: it owns the document that says how an existing program is fed and read.

One YAML file per action. `adapters.actions.contract.check` reads one and explains its mistakes with
their places; here are only the fields, their limits, and the rules between them.

Templates are texts with fields in braces, such as `in/{node.key}.{node.extension}`; which fields
there are is said in `adapters.actions.contract.templates`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from sql import Computed, Selector

A4_SCALE = 10
"""Children have at most so many times the bytes of their input, and of all inputs together; their
number is at most so many times that of the inputs, unless the installation or the contract says
otherwise."""
BATCH_SIZE_BYTES = 50_000_000_000
TIMEOUT_S = 3_600.0
TEMPLATE_LENGTH_MAX = 1_000
PINNED_FILES_MAX = 20

ActionKind = Literal["AC1", "AC2", "AC3", "AC4", "AC5"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Template = Annotated[str, StringConstraints(min_length=1, max_length=TEMPLATE_LENGTH_MAX)]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_ ]{0,60}$")]
LayoutId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ColumnType = Literal[
    "bigint", "integer", "double precision", "boolean", "text", "timestamptz", "date",
    "text[]", "bigint[]", "double precision[]",
]  # fmt: skip


class Part(BaseModel):
    """Root of all parts of a contract: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ---- Stage -----------------------------------------------------------------------------------


class Relatives(Part):
    """Which nodes beside the input: one edge away; black-listed and deleted ones never come."""

    side: Literal["parent", "child"]
    relationship: Word | None = None
    media_type: Literal["image", "video", "sound", "text"] | None = None


class StagedFile(Part):
    """One file per input, or per relative of an input, where the program expects it."""

    path: Template
    of: Literal["node"] | Relatives = "node"


class Sidecar(Part):
    """One small file per input with what is known about it.

    `content` is a template for txt; for json a mapping, whose texts are templates; for csv a
    mapping of columns, written with a header and one row.
    """

    path: Template
    format: Literal["txt", "json", "csv"]
    content: Template | dict[str, Any]


class Listing(Part):
    """One file per part that names all inputs, a line each, in the order of their node ids.

    txt: `line` is a template. csv and jsonl: `columns` maps names to templates. json: an array of
    such mappings. coco and label_studio: the tasks or images in that tool's own form; `columns`
    adds to each.
    """

    path: Template
    format: Literal["txt", "csv", "json", "jsonl", "coco", "label_studio"]
    line: Template | None = None
    columns: dict[str, Template] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if self.format == "txt" and (self.line is None or self.columns):
            raise ValueError("a txt listing has a `line` and no `columns`")
        if self.format in ("csv", "json", "jsonl") and (self.line or not self.columns):
            raise ValueError(f"a {self.format} listing has `columns` and no `line`")
        return self


class StageLayout(Part):
    """The tree in 3C, below the part's own folder; `output` is where the program writes.

    `mode` view shows the inputs through the mount: no byte is copied, and nothing can be changed.
    """

    layout_id: LayoutId
    mode: Literal["copy", "view"] = "copy"
    files: Annotated[tuple[StagedFile, ...], Field(min_length=1)]
    sidecars: tuple[Sidecar, ...] = ()
    listings: tuple[Listing, ...] = ()
    empty_folders: tuple[Template, ...] = ()
    """Folders that the program wants to find, below its output folder."""


# ---- Run -------------------------------------------------------------------------------------


class Environment(Part):
    """What the program sees: `allow` are names taken over from the worker, `set` are templates."""

    allow: tuple[str, ...] = ()
    set: dict[str, Template] = Field(default_factory=dict[str, str])


class RunSpec(Part):
    """How the program is run, once per part.

    `command` holds templates; `{input}`, `{output}`, `{contract}` are folders (inputs, outputs, the
    folder of the contract file) and `{parameters.NAME}` the parameters. `python` runs
    `python -I`-like: the interpreter of the worker, with `command[0]` a file beside the contract.
    """

    runner: Literal["python", "shell", "docker", "k8s"]
    command: Annotated[tuple[Template, ...], Field(min_length=1)]
    working_directory: Literal["input", "output", "contract"] = "output"
    image: str | None = None
    environment: Environment = Environment()
    timeout_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = TIMEOUT_S
    memory_bytes: Annotated[int, Field(ge=16 << 20)] | None = None
    output_bytes_max: Annotated[int, Field(ge=1)] | None = None
    """What the program may write; for AC4 never more than A4_SCALE times its inputs."""
    queue: Literal["cpu", "gpu", "io"] = "cpu"
    gpu: bool = False
    gate: Literal["none", "gpu_ready", "approval"] = "none"
    success_codes: tuple[int, ...] = (0,)
    partial_codes: tuple[int, ...] = ()
    """Exit codes that say: some outputs are there, take them."""
    requires: tuple[str, ...] = ()
    """Names of Python modules the program imports; a missing one is told with its extra."""
    extra: str | None = None
    """The extra of Drystone that brings them, such as `vision`."""
    programs: tuple[str, ...] = ()
    """Programs that must be on the PATH of the worker, such as `tesseract`."""

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if (self.image is not None) != (self.runner in ("docker", "k8s")):
            raise ValueError("`image` belongs to the runners docker and k8s, and they need one")
        return self


class Parameter(Part):
    """One parameter of an AC4; its value is part of what makes two runs the same."""

    type: Literal["text", "integer", "float", "boolean"]
    default: str | int | float | bool | None = None
    one_of: tuple[str | int | float, ...] | None = None
    min: float | None = None
    max: float | None = None
    description: str = ""


# ---- Outputs ---------------------------------------------------------------------------------


class ResultColumn(Part):
    """One column of result_<name>."""

    type: ColumnType
    description: Annotated[str, Field(min_length=1)]


class InputMatch(Part):
    """How an output names its input."""

    field: str
    equals: Literal["key", "node_id", "path", "file_name", "stem"]


class ChildRule(Part):
    """What a matched file becomes: a node below its input."""

    relationship: Word
    is_root: bool
    """A sample point in the user's eyes: a key frame yes, a crop no."""
    forms_tree: bool = True
    title: Template | None = None
    position: str | None = None
    """Name of the captured group or field with the order among the children."""
    attachment: bool = False
    """An annotation file (AC5), kept beside its input and never counted as a sample."""


class Output(Part):
    """One kind of output: which files, how they are read, what they become.

    `glob` (`*`, `?`, `**`) chooses files below the output folder; `regex`, when given, must match
    the whole relative path (with `/`) and its named groups are fields. Files that no output matches
    are quarantined. Formats:

    - `file`: the file itself; fields are the groups;
    - `file_name`: the same, but only its name counts and its bytes are not kept;
    - `json` (one object, or an array at `records`), `jsonl`, `csv` (with a header): a record each;
    - `coco`, `label_studio`, `yolo`: one record per annotation, with the fields that
      `adapters.actions.outputs.parse_labels` lists.

    `input` says which input a record is about: the field named by `field` (dotted for nested
    records; `path` is the file's relative path, `stem` its name without extension) equals the
    input's `equals`: its key, node_id, staged path, the staged path's name, or that name's stem.
    `results` maps columns to fields; `child` makes the matched file (or the file that the field
    `child_path` names) a node. A record may do both.
    """

    name: Name
    glob: Template
    regex: str | None = None
    format: Literal["file", "file_name", "json", "jsonl", "csv", "coco", "label_studio", "yolo"]
    records: str | None = None
    input: InputMatch
    results: dict[Name, str] = Field(default_factory=dict[str, str])
    child: ChildRule | None = None
    child_path: str | None = None
    encoding: Literal["utf-8"] = "utf-8"
    class_names: str | None = None
    """yolo: the file below the output folder (or staged) with one class name a line."""


class OutputParser(Part):
    """All outputs; with `every_input` an input without any record is missing: partial success."""

    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    every_input: bool = True
    ignore: tuple[str, ...] = ()
    """Globs of files that are neither output nor wrong: logs, caches."""


class ChildLimits(Part):
    """Children over their inputs: their bytes, per input and in sum, and their number in sum.

    A `count_scale` that is written down is an exception from the cap of the installation, such as
    for key frames. One of 10 is none: that is what installations have unless they say otherwise.
    """

    bytes_scale: Annotated[float, Field(gt=0, le=A4_SCALE)] = A4_SCALE
    count_scale: Annotated[float, Field(gt=0)] | None = None

    @field_validator("count_scale")
    @classmethod
    def _no_exception(cls, value: float | None) -> float | None:
        return None if value == A4_SCALE else value


class LabelTask(Part):
    """AC5: what people are asked."""

    kind: Literal["classification", "boxes"]
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]
    question: str = ""
    labellers: Annotated[int, Field(ge=1, le=20)] = 1
    """So many people answer each task; agreement is reported."""
    people: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    """The accounts that are asked; none are all who label."""


class Tagging(Part):
    """AC1: the result row that every node of the batch gets; SQL only.

    `values` are the same for all of them, `computed` depend on what the database knows of each: a
    CASE over the conditions of a selector.
    """

    values: dict[Name, str | int | float | bool] = Field(
        default_factory=dict[str, str | int | float | bool]
    )
    computed: dict[Name, Computed] = Field(default_factory=dict[str, Computed])


class Grouping(Part):
    """AC1: near-duplicate groups over a column of another action's results.

    Two nodes are near when the Hamming distance of their perceptual hashes (16 hexadecimal digits)
    is at most `distance_max`; each group becomes a virtual node with tree-forming edges, so that
    component_id holds it together.
    """

    action: Name
    column: Name
    distance_max: Annotated[int, Field(ge=0, le=16)] = 4
    relationship: Word = "near duplicate"


class Pins(Part):
    """What a version was pinned to instead of one model file: an image, several files, or both.

    `image` is the digest that `run_spec.image` ends with. `files` have names of their own:
    `{model.NAME}` is the path of one in a template.
    """

    image: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    files: Annotated[dict[Name, Sha256], Field(max_length=PINNED_FILES_MAX)] = Field(
        default_factory=dict[str, str]
    )


class ActionContract(Part):
    """One action, complete."""

    contract: Literal[1] = 1
    action_id: Annotated[int, Field(ge=1, le=2**31 - 1)]
    name: Name
    type: ActionKind
    version: Annotated[int, Field(ge=1)]
    """Raised whenever the outcome could be another."""
    description: Annotated[str, Field(min_length=1)]
    input_selector: Selector | None = None
    """What a batch is made of when nobody says otherwise, and what every batch must fulfil."""
    batch_size_bytes: Annotated[int, Field(ge=1 << 20, le=200_000_000_000)] = BATCH_SIZE_BYTES
    parameters: dict[Name, Parameter] = Field(default_factory=dict[str, Parameter])
    stage_layout: StageLayout | None = None
    run_spec: RunSpec | None = None
    output_parser: OutputParser | None = None
    child_limits: ChildLimits = ChildLimits()
    result_schema: dict[Name, ResultColumn] = Field(default_factory=dict[str, ResultColumn])
    label_task: LabelTask | None = None
    tagging: Tagging | None = None
    grouping: Grouping | None = None
    model_sha256: Sha256 | None = None
    """AC3: the model file that this version was pinned to."""
    pins: Pins | None = None
    """AC3 without a single model file: what this version was pinned to instead."""
