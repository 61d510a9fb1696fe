"""The notebook: executed in a real kernel, in its short form, and kept without outputs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent.parent
NOTEBOOK = PROJECT / "notebooks" / "exercise.ipynb"

EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def outputs_of(cell: dict[str, Any]) -> str:
    return json.dumps([output.get("data", output) for output in cell["outputs"]])


def test_it_is_kept_without_outputs() -> None:
    document = json.loads(NOTEBOOK.read_text())
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])


@pytest.mark.slow
def test_all_cells_run(tmp_path: Path) -> None:
    # In a process of its own: Jupyter's libraries warn of their own affairs.
    environment = os.environ | {
        "DIGITLAB_NOTEBOOK": "short",
        "DIGITLAB_STORE": str(tmp_path / "runs.db"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, NOTEBOOK, tmp_path / "done.ipynb"],
        cwd=NOTEBOOK.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cells = {cell["id"]: cell for cell in json.loads((tmp_path / "done.ipynb").read_text())["cells"]}
    code = [cell for cell in cells.values() if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    # The live drawing of each network is one output, which was drawn anew to its end.
    assert len(cells["three"]["outputs"]) == 3
    assert "step 600 of 600" in outputs_of(cells["three"])
    assert "<svg" in outputs_of(cells["three"])
    assert "image/svg+xml" in outputs_of(cells["plot"])
    assert "McNemar" in outputs_of(cells["compare"])
    assert "18 of 18 networks trained" in outputs_of(cells["batch"])
    for cell in ("table", "batch", "size", "depth", "others", "further"):
        assert "<table" in outputs_of(cells[cell])
    assert not (tmp_path / "runs.db").exists()
