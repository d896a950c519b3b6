"""The notebook of the docs runs as it stands, in a kernel of its own, and is committed without outputs."""

from __future__ import annotations

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted(Path(__file__).parents[1].glob("docs/**/*.ipynb"))


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Run a notebook in an empty folder, and give it back with its outputs."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("VPBENCH_PLUGINS", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()

    def run(notebook):
        client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
        return client.execute()

    return run


def outputs(notebook, kind):
    """The outputs of every code cell that have this form, by the start of the cell."""
    return {
        cell.source: [output.data[kind] for output in cell.outputs if kind in output.get("data", {})]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_it_made(path, execute):
    notebook = execute(nbformat.read(path, as_version=4))
    said = [
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert said == []
    shown = outputs(notebook, "text/html")
    results = {source: html for source, html in shown.items() if "vpbench.evaluate(" in source}
    assert len(results) == 2
    for (html,) in results.values():
        assert html.count('<tr class="vpb-own">') == 1
        assert "<svg" in html
        assert "data:image/png;base64," in html
    module, function = (html[0] for html in results.values())
    assert "Its weights were in memory" in module
    assert "redicts one frame at a time" in module
    assert re.search(r"<b>fading on moving-mnist 10→5, 4 clips</b>: psnr-pooled \d", function)
    tables = [html for source, html in shown.items() if "vpbench.evaluate(" not in source and html]
    assert len(tables) == 4
    assert all("<table" in html[0] for html in tables)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_there_is_a_notebook():
    assert NOTEBOOKS


def test_progress_in_a_notebook_is_one_line_that_changes(execute):
    """What takes long is told below the cell, in one place; what is quick is not told at all."""
    source = """
import time
from vpbench.progress import Progress
with Progress("quick", 3, unit="clips") as progress:
    progress.advance(3)
with Progress("slow", 3, unit="clips") as progress:
    for _ in range(3):
        time.sleep(0.6)
        progress.advance(1, "5 frames/s")
with Progress("quiet", 2, quiet=True) as progress:
    time.sleep(0.6)
    progress.advance(1)
"""
    notebook = execute(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]))
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"] == "slow: 3/3 clips in 2 s"


def test_a_failure_in_a_notebook_is_a_line_with_the_users_traceback(execute):
    source = """import vpbench
def model(frames):
    raise ValueError("no such frame")
vpbench.evaluate(model, dataset="moving-mnist", horizon=1, clips=1, metrics="mse")
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with pytest.raises(nbclient.exceptions.CellExecutionError) as caught:
        execute(notebook)
    assert caught.value.ename == "ModelFailed"
    assert caught.value.evalue.startswith("model on moving-mnist 10→1 failed in predict: ValueError: no such frame")
    assert caught.value.evalue.endswith(" (a cell, line 3)")
    assert 'raise ValueError("no such frame")' in caught.value.traceback.replace("\x1b", "")
