"""The -small models: as much arithmetic each, weights in the wheel, and boards where they are worth something."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vpbench import Context, registry
from vpbench.instances import configured, make_model
from vpbench.results import Record, iter_records
from vpbench.weights import WeightsFile

ROOT = Path(__file__).parents[1]
INSTALLED = registry.load()
SMALL = sorted(name for name in INSTALLED.models() if name.endswith("-small"))
FAMILIES = {"convlstm", "latentode", "phydnet", "predrnn", "predrnn-pp", "predrnn-v2", "simvp", "simvp-gsta", "tau"}
FLOORS = ("black", "copy-last", "context-mean", "train-mean")
BUDGET = 2.0e9  # floating point operations of 10 predicted frames from 10 given ones, 1×32×32

#: Metrics that a black or grey frame does not win.
FOREGROUND = {"foreground-mse": -1, "foreground-ssim": 1, "psnr-pooled": 1}


def flops(name: str) -> int:
    provided = INSTALLED.model(name)
    model = make_model(provided.spec, configured(provided, {}), frame_shape=(1, 32, 32), context_length=10).eval()
    times = torch.arange(20, dtype=torch.float64)[None]
    context = Context(torch.rand(1, 10, 1, 32, 32), times[:, :10], torch.zeros(1, dtype=torch.int64))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.predict(context, times[:, 10:])
    return counter.get_total_flops()


def test_every_family_has_a_small_model() -> None:
    assert {name.removesuffix("-small") for name in SMALL} == FAMILIES
    assert set(INSTALLED.models()) >= FAMILIES


def test_small_models_do_as_much_arithmetic_as_each_other() -> None:
    counted = {name: flops(name) for name in SMALL}
    assert max(counted.values()) <= 2 * min(counted.values()), counted
    assert all(BUDGET / 2 <= count <= 2 * BUDGET for count in counted.values()), counted


@pytest.mark.parametrize("name", SMALL)
def test_small_models_ship_weights_for_frames_of_32(name: str) -> None:
    (weights,) = [WeightsFile.bundled(each) for each in INSTALLED.model(name).spec.weights]
    assert weights.frame_shape == (1, 32, 32)
    assert weights.header["dataset"]["name"] == "moving-mnist"
    assert weights.path.stat().st_size < 16e6


# ------------------------------------------------------------------------------------------------ the committed boards


@cache
def rows(budget: str) -> dict[str, Record]:
    found, problems = iter_records(ROOT / "results" / budget)
    assert not problems
    return {record.model["name"]: record for record in found if record.task["horizon"] == 10}


@pytest.fixture(scope="module", params=["equal-seconds", "equal-sequences"])
def board(request: pytest.FixtureRequest) -> dict[str, Record]:
    return rows(request.param)


def test_every_small_model_and_every_floor_is_on_both_boards(board: dict[str, Record]) -> None:
    assert set(SMALL) | set(FLOORS) <= board.keys()
    assert {record.status for record in board.values()} == {"ok"}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("metric", FOREGROUND)
def test_what_has_learnt_beats_what_is_trivial(board: dict[str, Record], name: str, metric: str) -> None:
    """The interval of each model lies beyond those of all floors."""
    sign, own = FOREGROUND[metric], board[name].scores[metric]
    worst = own["low"] if sign > 0 else own["high"]
    for floor in FLOORS:
        other = board[floor].scores[metric]
        best = other["high"] if sign > 0 else other["low"]
        assert sign * worst > sign * best, f"{name}: {own}, {floor}: {other}"


def test_a_record_says_what_its_training_took(board: dict[str, Record]) -> None:
    for name in SMALL:
        training = board[name].about["training"]
        assert training["sequences"] == training["updates"] * training["batch_size"]
        assert training["seconds"] > 0
        assert training["device"]
        assert training["seed"] == 0
        assert [point["sequences"] for point in training["history"]][-1] == training["sequences"]


def test_budgets_are_equal_in_seconds_on_one_board_and_in_sequences_on_the_other() -> None:
    by_seconds, by_sequences = rows("equal-seconds"), rows("equal-sequences")
    assert len({by_seconds[name].about["training"]["budget"] for name in SMALL}) == 1
    assert len({by_sequences[name].about["training"]["sequences"] for name in SMALL}) == 1


def line_of(name: str) -> str:
    """The row of a model in README's table of equal budgets."""
    by_seconds, by_sequences = (rows(budget)[name] for budget in ("equal-seconds", "equal-sequences"))

    def scored(record: Record, metric: str, digits: int) -> str:
        return f"{record.scores[metric]['value']:.{digits}f}"

    cells = [f"`{name}`", scored(by_seconds, "psnr-pooled", 2), scored(by_seconds, "foreground-mse", 3)]
    cells += [scored(by_seconds, "digit-position-error", 2)]
    cells += [f"{by_seconds.about['training']['sequences']:,}", scored(by_sequences, "psnr-pooled", 2)]
    cells += [f"{by_sequences.about['training']['seconds'] / 60:.1f}"]
    return f"| {' | '.join(cells)} |"


def test_the_readme_shows_what_the_records_hold() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in SMALL:
        assert line_of(name) in readme
