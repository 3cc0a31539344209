"""A worker program between two folders, and a tiny model: it owns their making, and no test."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import onnx
from command import ROOT
from onnx import TensorProto, helper, numpy_helper

LIBRARY = os.path.join(ROOT, "adapters", "actions", "library")
PARTIAL = 3


@dataclass
class Folders:
    input: str
    output: str

    def run(self, action: str, *options: str, code: int = 0) -> str:
        """Run a worker as the runner does; returns what it said."""
        program = os.path.join(LIBRARY, action, "worker.py")
        folders = ["--input", self.input, "--output", self.output]
        result = subprocess.run(
            [sys.executable, "-I", "-B", program, *folders, *options],
            cwd=self.output,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == code, result.stderr
        return result.stderr

    def records(self, name: str) -> dict[str, dict]:
        with open(os.path.join(self.output, name), encoding="utf-8") as file:
            return {record["file"]: record for record in map(json.loads, file)}

    def errors(self) -> set[str]:
        return set(self.records("errors.jsonl"))

    def files(self) -> set[str]:
        return {
            os.path.relpath(os.path.join(folder, name), self.output)
            for folder, _, names in os.walk(self.output)
            for name in names
        }


def tiny_model(path: str, side: int | str = 8) -> str:
    """Write a model that averages each colour over the picture; returns its sha256."""
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, side, side])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    weights = numpy_helper.from_array(np.eye(3, 4, dtype=np.float32), "w")
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [source], [output], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"image_mean": "0,0,0", "image_std": "1,1,1"})
    onnx.save(model, path)
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
