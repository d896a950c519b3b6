"""Records made by hand, pages made of them, and how a browser looks at these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vpbench import exhibits
from vpbench.report import page
from vpbench.results import Record, identity_of, write_record
from vpbench.stats import interval, score_per_step

CLIPS = 30

#: name -> (statistics, score, higher is better, unit, ideal); as the installed metrics of these names have them
METRICS: dict[str, Any] = {
    "psnr-pooled": (("squared_error",), lambda means: -10 * np.log10(means["squared_error"]), True, "dB", None),
    "mse": (("squared_error",), lambda means: means["squared_error"], False, "", None),
    "sharpness": (
        ("gradient_energy_predicted", "gradient_energy_target"),
        lambda means: np.sqrt(means["gradient_energy_predicted"] / means["gradient_energy_target"]),
        *(True, "", 1.0),
    ),
}
SCORERS = {name: score for name, (_, score, *_) in METRICS.items()}


def _make(
    name: str,
    level: float = 1.0,
    *,
    horizon: int = 10,
    clips: int = CLIPS,
    seed: int = 0,
    convention: str = "vpbench",
    extra: tuple[str, ...] = (),
    summary: str = "A model",
    dataset: str = "balls",
    unit: str | None = None,
    definition: str = "as we define it",
    **about: Any,
) -> Record:
    """A record of a model with about `level` times the usual error, which grows with the steps.

    extra  metrics under another convention, "openstl" say: their names, on top of the usual ones
    """
    hard = np.random.default_rng(0).lognormal(-3, 0.4, clips)[:, None]
    noise = np.random.default_rng([*name.encode(), seed]).lognormal(0, 0.05, (clips, 200))[:, :horizon]
    steps = 1 + np.arange(horizon) / 20
    arrays = {
        "squared_error": hard * level * steps * noise,
        "gradient_energy_predicted": hard * noise / (level * steps),
        "gradient_energy_target": hard * np.ones(horizon),
    }
    statistics = {f"d/{key}": [float(f"{x:.6g}") for x in values.mean(axis=1)] for key, values in arrays.items()}
    scores = {}
    for metric, (names, score, higher, its_unit, ideal) in METRICS.items():
        found = interval({key: np.array(statistics[f"d/{key}"]) for key in names}, score)
        values, stderr = score_per_step({key: arrays[key] for key in names}, score)
        scores[metric] = {
            "version": "1",
            "definition": f"{metric}, {definition}",
            "unit": its_unit if unit is None else unit,
            "convention": convention,
            "higher_is_better": higher,
            "ideal": ideal,
            "ranks": ideal is None,
            "mean_optimal": ideal is None,
            "distribution": "d",
            "statistics": [f"d/{key}" for key in names],
            "value": found.value,
            "low": found.low,
            "high": found.high,
            "n": clips,
            "per_step": values.tolist(),
            "per_step_stderr": stderr.tolist(),
        }
    for other in extra:
        scores[other] = {**scores["mse"], "convention": other.split("-")[0]}
    return Record(
        identity=identity_of(
            model={"name": name, "version": "1", "config": {}, "weights_sha256": None},
            dataset={"name": dataset, "version": "1", "config": {}, "fingerprint": "f00d" * 16},
            split="test",
            task={"kind": "extrapolate", "context": 10, "horizon": horizon},
            clips=clips,
            seed=seed,
        ),
        status="ok",
        about={
            "role": "contender",
            "learns": "nothing",
            "trained": False,
            "summary": summary,
            "posterior_mean": about.get("role") == "ceiling",
            **about,
        },
        scores=scores,
        statistics=statistics,
        cost={"frames_per_s": 1000.0 / level, "parameters": int(1e6 * level), "rollout_horizon": horizon},
        software={"python": "3.11", "vpbench": "0.1.0", "plugins": {"balls": "1"}},
        machine={"device": "cpu", "device_name": "Quiet(R) CPU @ 2.20GHz", "threads": 1},
        started="2025-01-01T00:00:00Z",
        finished="2025-01-01T00:00:01Z",
    )


def _training(
    updates: int = 1000, *, batch: int = 32, pace: float = 0.1, psnrs: Any = (), **more: Any
) -> dict[str, Any]:
    """What a record says of a training, as the trainer writes it, with these scores on the way."""
    every = updates // max(1, len(psnrs))
    history = [
        {
            "update": every * k,
            "sequences": every * k * batch,
            "seconds": round(every * k * pace, 1),
            "loss": 0.1,
            "val_mse": float(f"{10 ** (-psnr / 10):.6g}"),
            "val_mse_first_10": 0.1,
        }
        for k, psnr in enumerate(psnrs, 1)
    ]
    return {
        "updates": updates,
        "total_updates": updates,
        "sequences": updates * batch,
        "seconds": updates * pace,
        "device": "Quiet(R) CPU @ 2.20GHz",
        "threads": 2,
        "seed": 0,
        "batch_size": batch,
        "precision": "float32",
        "budget": f"{updates}updates",
        "context": 10,
        "horizon": 10,
        "dataset": {"name": "balls", "version": "1", "config": {"size": 8}, "fingerprint": "f00d" * 16},
        "history": history,
    } | more


def _some_records() -> list[Record]:
    """A floor, a ceiling, three models, one of them with two seeds, one that failed; at two horizons."""
    records = []
    for horizon in (10, 20):
        records += [
            _make("black", 3.0, horizon=horizon, role="floor"),
            _make("oracle", 0.2, horizon=horizon, role="ceiling", assumptions="knows the generator"),
            _make("alpha", 0.6, horizon=horizon, summary="The first"),
            _make("beta", 1.0, horizon=horizon, seed=1),
            _make("beta", 1.0, horizon=horizon, seed=2),
            _make("gamma", 1.01, horizon=horizon, assumptions="sees twice"),
            _make("delta", 4.0, horizon=horizon),
        ]
    reason = {"phase": "predict", "type": "ModelFailed", "message": "no answer"}
    return [*records, replace(_make("epsilon"), status="failed", reason=reason, scores={}, statistics={})]


@pytest.fixture(scope="session")
def make():
    return _make


@pytest.fixture(scope="session")
def training():
    return _training


@pytest.fixture(scope="session")
def some_records():
    return _some_records


@pytest.fixture(scope="session")
def scorers():
    return SCORERS


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Write records into a folder, with the clips given for each, make its page and return where the page is."""

    def write(records, scorers=SCORERS, clips=(), **options) -> Path:
        folder = tmp_path_factory.mktemp("page")
        for record in records:
            path = write_record(folder / "results", record)
            if (name := record.model["name"]) in dict(clips):
                exhibits.write(path, replace(dict(clips)[name], cell=record.cell))
        made = page(folder / "results", scorers, **options)
        assert not made.problems
        path = folder / "page.html"
        path.write_text(made.html, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def some_page(written):
    return written(_some_records())


# ------------------------------------------------------------------------------------------------------------- browser


@pytest.fixture
def visit(browser):
    """Open a page; whatever it says to the console, asks of the network or pops up is a failure at the end."""
    contexts, said = [], []

    def visit(path: Path, *, fragment: str = "", width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        here = path.as_uri()

        def route(route: Any) -> None:
            if route.request.url.split("#")[0] == here:
                route.continue_()
            else:
                said.append(f"request: {route.request.url[:200]}")
                route.abort()

        context.route(lambda url: not url.startswith("data:"), route)
        context.set_default_timeout(10_000)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(f"console {message.type}: {message.text}"))
        tab.on("pageerror", lambda error: said.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.goto(here + fragment)
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert said == []
