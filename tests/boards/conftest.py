"""Records made by hand for the tests of boards, as fixtures: test modules are not importable from each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vpbench.comparison import boards
from vpbench.results import Record, identity_of, write_record
from vpbench.stats import interval

N = 40


def psnr(means):
    return -10 * np.log10(means["squared_error"])


def ssim(means):
    return means["ssim"]


SCORERS = {"psnr-pooled": psnr, "ssim": ssim}
CLIPS = np.random.default_rng(0).lognormal(-3, 0.4, 200)  # how hard each clip is, for every model


def _make(
    name,
    level=1.0,
    *,
    n=N,
    horizon=10,
    seed=0,
    config=None,
    version="1",
    weights=None,
    dtype="float32",
    dataset=None,
    split="test",
    metric_version="1",
    convention="vpbench",
    scorers=("psnr-pooled", "ssim"),
    value=None,
    cost=None,
    machine=None,
    facts=None,
    ssim_level=1.0,
    **about,
):
    """A record of a model with about `level` times the usual error; `facts` {metric: {..}} go into its scores."""
    noise = np.random.default_rng([*name.encode(), seed, horizon])
    error = (CLIPS * level * noise.lognormal(0, 0.05, len(CLIPS)))[:n]
    error = np.array([float(f"{x:.6g}") for x in error])
    statistics = {"d/squared_error": error, "d/ssim": 1 - 4 * error * ssim_level}
    scores = {}
    for metric, key in (("psnr-pooled", "squared_error"), ("ssim", "ssim")):
        if metric not in scorers:
            continue
        found = interval({key: statistics[f"d/{key}"]}, SCORERS[metric])
        scores[metric] = {
            "version": metric_version,
            "definition": f"{metric} as we\n define it.",
            "unit": "dB" if metric == "psnr-pooled" else "",
            "convention": convention,
            "higher_is_better": True,
            "ranks": True,
            "ideal": None,
            "mean_optimal": metric == "psnr-pooled",
            "over_steps": "mean",
            "config": {},
            "distribution": "d",
            "statistics": [f"d/{key}"],
            "value": found.value if value is None else value,
            "low": found.low,
            "high": found.high,
            "n": n,
            "per_step": [],
            "per_step_stderr": [],
        } | (facts or {}).get(metric, {})
    identity = identity_of(
        model={"name": name, "version": version, "config": config or {}, "weights_sha256": weights},
        dataset=dataset or {"name": "balls", "version": "1", "config": {}, "fingerprint": "f00d"},
        split=split,
        task={"kind": "extrapolate", "context": 10, "horizon": horizon},
        clips=n,
        seed=seed,
        dtype=dtype,
    )
    return Record(
        identity=identity,
        status="ok",
        about={"role": "contender", "posterior_mean": name == "bayes", "learns": "nothing", "trained": False} | about,
        scores=scores,
        statistics=statistics,
        cost={"frames_per_s": 1234.5, "parameters": 0} if cost is None else cost,
        machine={"device": "cpu", "device_name": "Quiet(R) CPU @ 2.20GHz", "threads": 1}
        if machine is None
        else machine,
        started="2025-01-01T00:00:00Z",
        finished="2025-01-01T00:00:01Z",
    )


def _failed(name, status="failed", message="no answer", **changes):
    reason = {"phase": "predict", "type": "ModelFailed", "message": message}
    return replace(_make(name, **changes), status=status, reason=reason, scores={}, statistics={})


def _one_board(*records, scorers=SCORERS, **options):
    (board,), problems = boards(records, scorers, **options)
    assert problems == []
    return board


def _labels(board):
    return [row.label for row in board.rows]


def _write(folder, *records):
    for record in records:
        write_record(folder, record)
    return folder


def _score(row, metric="psnr-pooled"):
    (found,) = [value for column, value in row.scores.items() if column.metric == metric]
    return found


def _some_records():
    training = {"sequences": 1000, "seconds": 10, "device": "H100"}
    return [
        _make("black", 3.0, role="floor"),
        _make("bayes", 0.2, role="ceiling", assumptions="knows the generator"),
        _make("a", 1.0, learns="weights", trained=True, training=training),
        _make("b", 1.001, seed=1),
        _make("b", 1.001, seed=2, n=35),
        _make("e", 1.2, dtype="bfloat16"),
        _make("b", 5.0, horizon=90),
        _make("c", 2.0, metric_version="2"),
        _failed("m"),
        _failed("l", status="skipped", horizon=90),
    ]


@pytest.fixture(scope="session")
def make():
    return _make


@pytest.fixture(scope="session")
def failed():
    return _failed


@pytest.fixture(scope="session")
def one_board():
    return _one_board


@pytest.fixture(scope="session")
def labels():
    return _labels


@pytest.fixture(scope="session")
def write():
    return _write


@pytest.fixture(scope="session")
def score():
    return _score


@pytest.fixture(scope="session")
def some_records():
    return _some_records
