"""Fixtures of the tests that go in by the front door: the command line, a plugin for tests, models in a file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

FAKES = Path(__file__).parent / "fakes"

#: What most tests need: a tiny dataset and the metrics, without the floors.
PLUGINS = "fakes,metrics"


@dataclass
class Bench:
    """A folder to run in, and the command line."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *args: object) -> Result:
        """Run a command inside this process."""
        from vpbench.cli import main

        return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="vpbench", catch_exceptions=True)

    def run(
        self, model: str, *args: object, horizon: int | None = 1, clips: int = 3, dataset: str = "squares"
    ) -> Result:
        """`vpbench run` of a model of tests/fakes/models.py, by default small."""
        named = self.model(model) if model[0].isupper() else model
        horizons = () if horizon is None else ("--horizon", horizon)
        return self("run", "--model", named, "--dataset", dataset, *horizons, "--clips", clips, *args)

    def model(self, name: str) -> str:
        """How a class of tests/fakes/models.py is given to --model."""
        return f"{FAKES / 'models.py'}:{name}"

    def start(self, *args: object) -> subprocess.Popen[str]:
        """Run a command in a process of its own."""
        return self.start_python("from vpbench.cli import main; main(prog_name='vpbench')", *args)

    def start_python(self, code: str, *args: object) -> subprocess.Popen[str]:
        """Run some code in a process of its own."""
        path = [str(FAKES), *filter(None, [os.environ.get("PYTHONPATH")])]
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            cwd=self.folder,
            env={**os.environ, **self.environment, "PYTHONPATH": os.pathsep.join(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def records(self, results: str = "runs") -> dict[tuple[str, int], dict[str, Any]]:
        """The records of a results folder by model and horizon; of several seeds or clips, any one."""
        found = {}
        for path in sorted((self.folder / results).glob("*/*/*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            record["path"] = path
            found[record["identity"]["model"]["name"], record["identity"]["task"]["horizon"]] = record
        return found

    def record(self, model: str, horizon: int = 1, results: str = "runs") -> dict[str, Any]:
        return self.records(results)[model, horizon]

    @property
    def log_path(self) -> Path:
        return Path(self.environment["VPBENCH_TEST_LOG"])

    def log(self) -> list[dict[str, Any]]:
        """What models of tests/fakes/models.py wrote down since the last call."""
        lines = self.log_path.read_text().splitlines() if self.log_path.exists() else []
        self.log_path.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """An empty working directory, the test plugin and the metrics; `bench.run` and `bench(...)` run commands."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(FAKES)
    environment = {"VPBENCH_PLUGINS": PLUGINS, "VPBENCH_TEST_LOG": str(tmp_path / "log"), "OMP_NUM_THREADS": "1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VPBENCH_PLUGIN_ERRORS", raising=False)
    terminate = signal.getsignal(signal.SIGTERM)
    yield Bench(folder, environment)
    signal.signal(signal.SIGTERM, terminate)


@pytest.fixture
def with_floors(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The same with the floors of vpbench-baselines."""
    bench.environment["VPBENCH_PLUGINS"] = f"{PLUGINS},baselines"
    monkeypatch.setenv("VPBENCH_PLUGINS", bench.environment["VPBENCH_PLUGINS"])
    return bench


@pytest.fixture
def ends_with() -> Callable[..., str]:
    """Assert that a command ended with this code and exactly one line on stderr that holds these texts."""

    def check(result: Result, code: int, *texts: str) -> str:
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        lines = result.stderr.splitlines()
        assert len(lines) == 1, result.stderr
        assert lines[0].startswith("vpbench: ")
        assert result.exit_code == code, lines[0]
        for text in texts:
            assert text in lines[0]
        return lines[0]

    return check


CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def _chromium() -> str | None:
    named = os.environ.get("VPBENCH_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window; one for all tests, since Playwright runs once in a process."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = _chromium()
    if path is None:
        pytest.skip("no Chromium found: install the package chromium, or set VPBENCH_CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
