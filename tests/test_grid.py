"""Grid files ask for what options ask for."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from vpbench.errors import UsageError
from vpbench.grid import FIELDS, read_grid, read_grids
from vpbench.plan import Request
from vpbench.trained import TrainRequest

EVERYTHING = """
models = ["latentode", "my_model.py:MyModel"]
datasets = ["moving-mnist"]
horizons = [10, 90]
seeds = [0, 1]
metrics = ["ssim"]
weights = ["a.safetensors"]
set = ["latentode.solver=dopri5"]
context = 5
task = "irregular,seed=1"
in_time = "linear"
clips = 1000
batch-size = 8
device = "cpu"
precision = "bfloat16"
results = "elsewhere"
rerun = "failed"
keep_predictions = 2
exhibit = false
allow_untrained = true

[train]
budget = "3m"
slice = "20s"
context = 5
horizon = 10
start = "first.safetensors"
batch-size = 16
precision = "bfloat16"
models = ["latentode"]
weights = "elsewhere/weights"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_field_of_a_request_can_be_written(tmp_path: Path) -> None:
    fields = read_grid(written(tmp_path, EVERYTHING))
    assert fields.keys() == set(FIELDS.values())
    request = Request(**fields)
    assert request.models == ("latentode", "my_model.py:MyModel")
    assert request.weights == (Path("a.safetensors"),)
    assert request.settings == ("latentode.solver=dopri5",)
    assert (request.batch_size, request.results, request.allow_untrained) == (8, Path("elsewhere"), True)
    assert request.train == TrainRequest(
        budget="3m",
        slice="20s",
        context=5,
        horizon=10,
        start=Path("first.safetensors"),
        batch_size=16,
        precision="bfloat16",
        models=("latentode",),
        weights=Path("elsewhere/weights"),
    )
    table = tomllib.loads(EVERYTHING)["train"]
    assert {key.replace("-", "_") for key in table} == {each.name for each in dataclasses.fields(TrainRequest)}


def test_a_budget_alone_is_a_training(tmp_path: Path) -> None:
    assert read_grid(written(tmp_path, 'train = "3m"')) == {"train": TrainRequest(budget="3m")}


def test_what_is_not_written_stays_as_it_is_by_default(tmp_path: Path) -> None:
    assert Request(**read_grid(written(tmp_path, 'models = "m"\nhorizons = 3'))) == Request(
        models=("m",), horizons=(3,)
    )


def test_a_grid_runs_and_options_win_over_it(bench) -> None:
    written(bench.folder, f'models = ["{bench.model("Last")}"]\ndatasets = ["squares"]\nhorizons = [5]\nclips = 2\n')
    assert bench("run", "grid.toml").exit_code == 0
    assert set(bench.records()) == {("last", 1), ("last", 5)}
    assert bench("run", "grid.toml", "--horizon", 2, "--results", "other").exit_code == 0
    assert set(bench.records("other")) == {("last", 1), ("last", 2)}
    assert bench.record("last", 2, results="other")["identity"]["clips"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", "is not valid TOML"),
        ("model = ['a']", "unknown key 'model'; did you mean models? known: allow_untrained, batch_size, clips"),
        ("settings = ['a=1']", "unknown key 'settings'"),
        ("horizons = ['ten']", "horizons must be a list of int, got ['ten']"),
        ("horizons = [true]", "horizons must be a list of int, got [True]"),
        ("horizons = [1.5]", "horizons must be a list of int"),
        ("clips = '100'", "clips must be int, got '100'"),
        ("allow_untrained = 1", "allow_untrained must be bool, got 1"),
        ("results = 3", "results must be str, got 3"),
        ("[runs]\nclips = 3", "unknown key 'runs'"),
        ("train = 3", "train must be a budget like '20m', or a table with one, got 3"),
        ("[train]\nbudgt = '3m'", "train has no key 'budgt'; did you mean budget? known: budget, slice"),
        ("[train]\nbatch_size = '3'", "train batch_size must be int, got '3'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_grid(path)
    assert str(caught.value).startswith(f"grid file {path}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_is_not_there_is_said(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match=r"cannot read grid file .*: (No such file|Is a directory)"):
        read_grid(tmp_path / path)


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not valid TOML"):
        read_grid(tmp_path / "grid.toml")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"models": ()}, "nothing to run: give at least one --model"),
        ({"horizons": ()}, "nothing to run: give at least one --horizon"),
        ({"seeds": ()}, "give at least one --seed"),
        ({"horizons": (5, 0)}, "horizons must be at least 1, got 0"),
        ({"horizons": (-3,)}, "horizons must be at least 1, got -3"),
        ({"context": 0}, "context must be at least 1, got 0"),
        ({"clips": -1}, "clips must be at least 1, got -1"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"keep_predictions": -1}, "keep_predictions must be at least 0, got -1"),
        ({"seeds": (-1,)}, "a seed must be between 0 and 2^63 - 1, got -1"),
        ({"seeds": (2**64,)}, "a seed must be between 0 and"),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16, got 'float16'"),
        ({"rerun": "some"}, "rerun must be one of missing, failed, all, got 'some'"),
    ],
)
def test_values_without_sense_are_refused_wherever_they_come_from(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Request(**{"models": ("m",), "horizons": (3,), **fields})  # type: ignore[arg-type]
    assert message in str(caught.value)


PARTS = """
models = ["node"]
horizons = [4]
set = ["width=8"]
results = "out"

[train]
budget = "2updates"
batch_size = 4

[[grid]]
name = "plain"

[[grid]]
name = "noisy"
horizons = [5, 6]
set = "ramps.noise=0.1"

[grid.train]
budget = "3updates"
"""


class TestParts:
    def test_a_part_wins_over_what_all_have_alike_and_adds_settings(self, tmp_path: Path) -> None:
        parts = read_grids(written(tmp_path, PARTS))
        assert list(parts) == ["plain", "noisy"]
        plain, noisy = parts.values()
        assert (plain["horizons"], noisy["horizons"]) == ((4,), (5, 6))
        assert (plain["settings"], noisy["settings"]) == (("width=8",), ("width=8", "ramps.noise=0.1"))
        assert (plain["train"].budget, noisy["train"].budget) == ("2updates", "3updates")
        assert plain["train"].batch_size == noisy["train"].batch_size == 4

    def test_each_has_a_folder_of_weights(self, tmp_path: Path) -> None:
        folders = [part["train"].weights for part in read_grids(written(tmp_path, PARTS)).values()]
        assert folders == [Path("out/weights/plain"), Path("out/weights/noisy")]

    def test_parts_that_name_a_folder_of_weights_share_it(self, tmp_path: Path) -> None:
        text = PARTS.replace('budget = "3updates"', 'budget = "3updates"\nweights = "shared"')
        folders = [part["train"].weights for part in read_grids(written(tmp_path, text)).values()]
        assert folders == [Path("out/weights/plain"), Path("shared")]

    def test_some_can_be_named(self, tmp_path: Path) -> None:
        assert list(read_grids(written(tmp_path, PARTS), ["noisy"])) == ["noisy"]

    @pytest.mark.parametrize(
        ("content", "only", "wrong"),
        [
            (PARTS, ["nosy"], "has no part 'nosy'; did you mean noisy"),
            ("models = 'm'", ["a"], "has no parts, asked for a"),
            ("[[grid]]\nhorizons = [3]", [], "needs a name"),
            ("[[grid]]\nname = 'A part'", [], "needs a name of lower case letters"),
            ("[[grid]]\nname = 'a'\n[[grid]]\nname = 'a'", [], "two parts 'a'"),
            ("grid = 3", [], r"write \[\[grid\]\]"),
            ("[[grid]]\nname = 'a'\nhorizon = 3", [], "unknown key 'horizon'"),
            ("[[grid]]\nname = 'a'\n[grid.train]\nepochs = 3", [], "train has no key 'epochs'"),
        ],
    )
    def test_what_makes_no_sense_is_one_line(self, tmp_path: Path, content: str, only: list[str], wrong: str) -> None:
        with pytest.raises(UsageError, match=wrong):
            read_grids(written(tmp_path, content), only)

    def test_one_question_cannot_be_asked_of_several_parts(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="has parts: name one of plain, noisy"):
            read_grid(written(tmp_path, PARTS))

    def test_all_are_run_and_one_that_cannot_work_does_not_cost_the_others(self, bench) -> None:
        (bench.folder / "grid.toml").write_text(
            f"""
models = ["{bench.model("Last")}"]
datasets = ["squares"]
horizons = [1]
clips = 2
metrics = ["mse"]
[[grid]]
name = "colour"
set = "squares.length=3"
[[grid]]
name = "grey"
[[grid]]
name = "bright"
set = "squares.size=20"
"""
        )
        result = bench("run", "grid.toml")
        assert result.exit_code == 3
        assert "colour: nothing to run" in result.stderr
        assert result.stdout.index("grey:") < result.stdout.index("bright:")
        assert len(list((bench.folder / "runs").glob("squares/last/*.json"))) == 3  # one of them says why not
        only = bench("run", "grid.toml", "--part", "bright")
        assert only.exit_code == 0
        assert "grey:" not in only.stdout

    def test_from_python_too(self, bench) -> None:
        import vpbench

        (bench.folder / "grid.toml").write_text(
            f"""
models = ["{bench.model("Last")}"]
datasets = ["squares"]
horizons = [1]
clips = 2
metrics = ["mse"]
[[grid]]
name = "small"
[[grid]]
name = "large"
set = "squares.size=20"
"""
        )
        assert len(vpbench.run(grid="grid.toml", progress=False)) == 2
        assert len(vpbench.run(grid="grid.toml", part="large", progress=False)) == 1
