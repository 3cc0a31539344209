"""The bench of datasets works: it once went on naming files that the store no longer accepts."""

import json
import subprocess
import sys


def test_a_small_dataset_is_built_and_a_view_published(tmp_path):
    arguments = ["--files", "3000", "--view-files", "300", "--json"]
    arguments += ["--sources", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.datasets", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout, ran.stderr  # its exit code tells whether it was fast
    figures = json.loads(ran.stdout)
    assert 2500 < figures["members"] <= 3000
    assert figures["view_files"] == 300
    assert figures["view_area_bytes"] == 0
