"""`vpbench weights`: checkpoints of others become weights files, whole or not at all, and say what they are."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import conv2d

from vpbench.weights import HEADER_KEY, read_header, save, sha256_of

PLUGIN = Path(__file__).parent / "importing_plugin"
GUIDE = Path(__file__).parents[1] / "docs" / "published-weights.md"
SOURCE = "https://example.org/mixture (Doe, 2031)"
CONTEXT = 2

State = dict[str, Tensor]


def published() -> State:
    """A state dict by its authors' names."""
    generator = torch.Generator().manual_seed(7)
    return {
        "mix.weight": torch.rand(2, CONTEXT, generator=generator),
        "gain.weight": torch.rand(3, generator=generator),
        "gain.count": torch.tensor(41),
        "helper.weight": torch.rand(5, 5, generator=generator),
    }


def expected() -> State:
    """The same by this model's names."""
    state = published()
    near, far = state["mix.weight"][:1], state["mix.weight"][1:]
    return {"near": near, "far": far, "gains": state["gain.weight"], "updates": state["gain.count"]}


@pytest.fixture
def bench(bench, monkeypatch: pytest.MonkeyPatch):
    """With the models of importing_plugin."""
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,importing")
    return bench


@pytest.fixture
def imported(bench) -> Callable[..., Any]:
    """`vpbench weights import` of a checkpoint, to out.safetensors; a state dict is saved first."""

    def run(checkpoint: Any, *options: object, model: str = "mixture", source: str = SOURCE) -> Any:
        if not isinstance(checkpoint, Path):
            torch.save(checkpoint, "theirs.pth")
            checkpoint = Path("theirs.pth")
        fixed = ("--model", model, "--dataset", "squares", "--context", CONTEXT, "--source", source)
        return bench("weights", "import", checkpoint, *fixed, "--output", "out.safetensors", *options)

    return run


def succeeded(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


def assert_same(found: State, wanted: State) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


# ------------------------------------------------------------------------------------------------------------ layouts


def prefixed(prefix: str, state: State | None = None) -> OrderedDict[str, Tensor]:
    return OrderedDict((prefix + name, value) for name, value in (state or published()).items())


def _optimiser() -> dict[str, Any]:
    """The state of a real one that has taken a step."""
    parameter = nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([parameter])
    parameter.sum().backward()
    optimiser.step()
    return optimiser.state_dict()


#: What training programs write -> what is in the file.
LAYOUTS: dict[str, Callable[[], Any]] = {
    "a state dict": lambda: OrderedDict(published()),
    "DataParallel": lambda: prefixed("module."),
    "compiled, in DistributedDataParallel": lambda: prefixed("module._orig_mod."),
    "predrnn-pytorch": lambda: {"net_param": published()},
    "torch's example": lambda: {"epoch": 3, "model_state_dict": published(), "optimizer_state_dict": _optimiser()},
    "timm": lambda: {"model": prefixed("module."), "epoch": 3},
    "OpenSTL": lambda: {"epoch": 100, "optimizer": _optimiser(), "state_dict": published(), "scheduler": {"lr": [0.1]}},
    "Lightning": lambda: {
        "epoch": 99,
        "global_step": 4000,
        "pytorch-lightning_version": "2.2.0",
        "state_dict": prefixed("model."),
        "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {"best_model_score": torch.tensor(0.1)}},
        "optimizer_states": [_optimiser()],
        "hyper_parameters": {"lr": 1e-3, "in_shape": [10, 1, 64, 64], "dataname": "mmnist"},
    },
    "a container in a container": lambda: {"model": {"state_dict": published()}},
    "parameters": lambda: {
        name: nn.Parameter(value) if value.is_floating_point() else value for name, value in published().items()
    },
    "double precision": lambda: {k: v.double() if v.is_floating_point() else v for k, v in published().items()},
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_is_around_the_tensors_they_come_out(imported, layout: str, zipped: bool) -> None:
    torch.save(LAYOUTS[layout](), "theirs.ckpt", _use_new_zipfile_serialization=zipped)
    succeeded(imported(Path("theirs.ckpt")))
    assert_same(load_file("out.safetensors"), expected())


@pytest.mark.parametrize("prefix", ["", "model."])
def test_safetensors_of_others_are_read_too(imported, prefix: str) -> None:
    save_file(prefixed(prefix), "theirs.safetensors", metadata={"format": "pt"})
    succeeded(imported(Path("theirs.safetensors")))
    assert_same(load_file("out.safetensors"), expected())


def test_half_precision_becomes_that_of_the_model(imported) -> None:
    succeeded(imported({name: v.half() if v.is_floating_point() else v for name, v in published().items()}))
    found = load_file("out.safetensors")
    assert found["gains"].dtype == torch.float32
    assert torch.equal(found["gains"], published()["gain.weight"].half().float())


def test_a_prefix_that_some_names_lack_is_part_of_the_names(imported, ends_with) -> None:
    state = prefixed("model.") | {"loss.weight": torch.ones(1)}
    ends_with(imported(state), 4, "has no helper.weight", "loss.weight")


def test_the_header_says_what_is_known_and_nothing_else(imported) -> None:
    succeeded(imported(published(), "--trained-on", "squares, 200 epochs"))
    assert read_header(Path("out.safetensors")) == {
        "model": {"name": "mixture", "version": "1", "config": {"gains": 3, "checked": False}},
        "dataset": {"name": "squares"},
        "frame_shape": [1, 16, 16],
        "context": CONTEXT,
        "imported_from": {
            "file": "theirs.pth",
            "sha256": sha256_of(Path("theirs.pth")),
            "source": SOURCE,
            "trained_on": "squares, 200 epochs",
        },
    }


def test_the_config_they_were_trained_with_is_said_and_kept(bench, imported) -> None:
    state = published() | {"gain.weight": torch.rand(4)}
    succeeded(imported(state, "--set", "gains=4"))
    assert read_header(Path("out.safetensors"))["model"]["config"]["gains"] == 4
    result = bench.run("mixture", "--weights", "out.safetensors", "--context", CONTEXT)
    assert result.exit_code == 0, result.output


def test_frames_are_those_of_the_dataset_as_it_is_set_or_of_the_shape_that_is_named(imported) -> None:
    succeeded(imported(published(), "--set", "squares.size=8"))
    assert read_header(Path("out.safetensors"))["frame_shape"] == [1, 8, 8]
    succeeded(imported(published(), "--frame-shape", "3,20,24", "-o", "other.safetensors"))
    assert read_header(Path("other.safetensors"))["frame_shape"] == [3, 20, 24]


def test_files_get_a_name_of_their_own(bench) -> None:
    torch.save(published(), "theirs.pth")
    options = ("--model", "mixture", "--dataset", "squares", "--context", CONTEXT, "--source", SOURCE)
    succeeded(bench("weights", "import", "theirs.pth", *options))
    assert Path("mixture-squares-2-imported.safetensors").exists()


# --------------------------------------------------------------------------------------------------- what is not taken


class Code:
    """Reading it as a pickle runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch was-run",)


class OfTheAuthors(nn.Module):
    """A whole module is a pickle of its class."""


def _saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _program() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


_LEGACY = {"_use_new_zipfile_serialization": False}
_TENSOR_BYTES = published()["helper.weight"].numpy().tobytes()

#: File -> what the one line says.
REFUSED: dict[str, tuple[Callable[[], bytes], tuple[str, ...]]] = {
    "code": (
        lambda: _saved(published() | {"x": Code()}),
        ("holds posix.system", "safetensors", "published-weights.md"),
    ),
    "code, legacy": (lambda: _saved(published() | {"x": Code()}, **_LEGACY), ("holds posix.system",)),
    "code, no torch": (lambda: pickle.dumps(Code()), ("beside tensors", "would run code")),
    "arguments of a script": (
        lambda: _saved({"state_dict": published(), "args": argparse.Namespace(lr=0.1)}),
        ("holds argparse.Namespace beside tensors", "where you trust it"),
    ),
    "a whole module": (lambda: _saved(OfTheAuthors()), ("OfTheAuthors",)),
    "TorchScript": (_program, ("is a TorchScript program",)),
    "cut short": (lambda: _saved(published())[:-100], ("is damaged", "download it again")),
    "cut short, legacy": (lambda: _saved(published(), **_LEGACY)[:-100], ("is damaged",)),
    "cut short at once": (lambda: _saved(published(), **_LEGACY)[:9], ("is damaged",)),
    "one bit of a tensor": (
        lambda: _flipped(content := _saved(published()), content.index(_TENSOR_BYTES)),
        ("is damaged", "wrong checksum"),
    ),
    "a web page": (
        lambda: b"<!DOCTYPE html><html>Sign in</html>",
        ("neither a file of torch.save nor of safetensors",),
    ),
    "nothing": (lambda: b"", ("neither a file of torch.save nor of safetensors",)),
    "a tar": (lambda: _tar("theirs.pth", _saved(published())), ("is a tar archive: unpack it",)),
    "a zip": (lambda: _zip("theirs.pth", _saved(published())), ("is a zip archive and no checkpoint: unpack it",)),
    "a number": (lambda: _saved(3), ("holds a int", "state dict")),
    "a tensor": (lambda: _saved(torch.ones(2)), ("holds a Tensor",)),
    "no tensors": (
        lambda: _saved({"epoch": 3, "optimizer": _optimiser()}),
        ("no tensors by name", "state_dict", "net_param", "there is epoch, optimizer"),
    ),
    "an empty state": (lambda: _saved({"state_dict": {}}), ("it is empty",)),
    "tensors by number": (lambda: _saved({0: torch.ones(2)}), ("no tensors by name",)),
    "a number among tensors": (lambda: _saved(published() | {"epoch": 3}), ("holds epoch among its tensors",)),
    "a sparse tensor": (
        lambda: _saved(published() | {"mix.weight": torch.eye(2).to_sparse()}),
        ("holds mix.weight without values, sparse or quantised",),
    ),
    "no values": (lambda: _saved(published() | {"mix.weight": torch.ones(2, 2, device="meta")}), ("mix.weight",)),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plain_checkpoint_is_one_line_and_no_file(imported, ends_with, name: str) -> None:
    content, says = REFUSED[name]
    Path("theirs.pth").write_bytes(content())
    line = ends_with(imported(Path("theirs.pth")), 4, "theirs.pth", *says)
    assert "weights_only" not in line  # torch's own advice is to read it unsafely
    assert sorted(path.name for path in Path().iterdir()) == ["theirs.pth"]  # nor did any code run


def test_a_state_dict_that_holds_itself_is_no_endless_search(imported, ends_with) -> None:
    content: dict[str, Any] = {}
    content["state_dict"] = content
    ends_with(imported(content), 4, "no tensors by name")


@pytest.mark.parametrize("name", ["not-there.pth", "."])
def test_a_file_that_cannot_be_read_is_one_line(imported, ends_with, name: str) -> None:
    ends_with(imported(Path(name)), 4, f"cannot read {name}")


def test_weights_of_this_program_need_no_import(imported, ends_with) -> None:
    succeeded(imported(published()))
    line = imported(Path("out.safetensors"), "-o", "again.safetensors")
    ends_with(line, 4, "out.safetensors is a weights file of vpbench", "--weights")


#: What is wrong with the tensors -> how they differ from those published, and what the one line says.
MISFITS: dict[str, tuple[State, tuple[str, ...]]] = {
    "one more": (
        {"tail.weight": torch.ones(1), "tail.bias": torch.ones(1)},
        ("has more than mixture is made of: tail.bias, tail.weight", "--set", "gains=3"),
    ),
    "many more": (
        {f"tail.{number}": torch.ones(1) for number in range(9)},
        ("tail.0, tail.1, tail.2 and 6 more",),
    ),
    "another shape": (
        {"gain.weight": torch.ones(64)},
        ("does not fit mixture: gains is (64,), needs (3,)", "say with --set what its config was, here it is gains=3"),
    ),
    "two other shapes": (
        {"gain.weight": torch.ones(64), "mix.weight": torch.ones(2, 10)},
        ("far is (1, 10), needs (1, 2), gains is (64,), needs (3,), near is (1, 10)"),
    ),
    "another kind": ({"gain.count": torch.tensor(1.5)}, ("updates is torch.float32, needs torch.int64",)),
    "complex numbers": ({"gain.weight": torch.ones(3, dtype=torch.complex64)}, ("gains is torch.complex64",)),
    "a tensor that cannot be cut in two": ({"mix.weight": torch.ones(1, CONTEXT)}, ("do not go together to mixture",)),
    "NaN": ({"gain.weight": torch.tensor([1, float("nan"), 1])}, ("NaN or infinity, which becomes gains",)),
    "infinity": ({"mix.weight": torch.full((2, CONTEXT), float("inf"))}, ("which becomes near, far",)),
    "too large for the model": (
        {"gain.weight": torch.full((3,), 1e300, dtype=torch.float64)},
        ("NaN or infinity, which becomes gains",),
    ),
    "names of several lines": ({"a\nb\x1b[31m": torch.ones(1)}, ("is made of: a b",)),
}


@pytest.mark.parametrize("name", MISFITS)
def test_tensors_that_do_not_fit_are_named_and_nothing_is_written(imported, ends_with, name: str) -> None:
    changes, says = MISFITS[name]
    ends_with(imported(published() | changes), 4, "theirs.pth", *([says] if isinstance(says, str) else says))
    assert not Path("out.safetensors").exists()


@pytest.mark.parametrize("name", published())
def test_a_tensor_that_is_missing_is_named_beside_those_that_are_there(imported, ends_with, name: str) -> None:
    state = published()
    del state[name]
    line = ends_with(imported(state), 4, f"has no {name}, which mixture is made of", "it has 3 tensors: ")
    assert all(other in line for other in state)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("not-there", "AttributeError: module 'importing_models' has no attribute 'not_there'"),
        ("gives-nothing", "the contract is a dict of tensors"),
        ("gives-numbers", "the contract is a dict of tensors"),
        ("takes-twice", "KeyError: 'mix.weight' (importing_models.py, line "),
        ("breaks", "AttributeError: no such thing (importing_models.py, line "),
    ],
)
def test_an_importer_that_breaks_the_contract_is_the_fault_of_its_plugin(
    imported, ends_with, model: str, says: str
) -> None:
    ends_with(imported(published(), model=model), 1, f"importing-fakes 1.0 (importing): importer of {model}", says)
    assert not Path("out.safetensors").exists()


def test_names_that_the_model_does_not_have_are_no_weights(imported, ends_with) -> None:
    ends_with(imported(published(), model="renames-nothing"), 4, "no far, no gains, no near and ")


# --------------------------------------------------------------------------------------------------------- the request


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--source", " "), "--source ''"),
        (("--source", "a\nb"), "one line of text"),
        (("--trained-on", "a\x1b[31mb"), "--trained-on"),
        (("--model", "imports-nothing"), "imports-nothing imports no published weights; breaks, gives-nothing,"),
        (("--model", "mixtura"), "did you mean mixture?"),
        (("--dataset", "square"), "did you mean squares?"),
        (("--model", "mixture-in-colour"), "takes 3 channels, squares (1×16×16) has 1"),
        (("--set", "gain=3"), "no config key 'gain'; did you mean gains?"),
        (("--frame-shape", "64,64"), "write it as channels,height,width"),
        (("--frame-shape", "1,0,64"), "write it as channels,height,width"),
        (("--context", "0"), "--context"),
        (("--output", "."), "--output . is a folder"),
    ],
)
def test_what_is_asked_for_wrongly_is_a_usage_error(imported, ends_with, options: tuple[str, str], says: str) -> None:
    ends_with(imported(published(), *options), 2, says)
    assert not Path("out.safetensors").exists()


def test_the_source_has_to_be_named(bench, ends_with) -> None:
    torch.save(published(), "theirs.pth")
    ends_with(bench("weights", "import", "theirs.pth", "--model", "mixture", "--dataset", "squares"), 2, "--source")


def test_what_the_model_says_of_its_frames_is_said(imported, ends_with) -> None:
    ends_with(imported(published(), "--set", "checked=true"), 1, "making of mixture: ValueError: frames of (1, 16, 16)")


def test_frames_of_a_dataset_that_is_not_here_can_be_named(
    imported, ends_with, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPBENCH_PLUGINS", "movingmnist,importing")
    options = ("--dataset", "moving-mnist-toronto", "--set", f"path={tmp_path / 'none.npy'}")
    ends_with(imported(published(), *options), 4, "none.npy is not there", "or say --frame-shape")
    succeeded(imported(published(), *options, "--frame-shape", "1,64,64"))
    assert read_header(Path("out.safetensors"))["frame_shape"] == [1, 64, 64]


def test_the_same_import_again_is_done_already_and_another_takes_no_file_away(imported, ends_with) -> None:
    first = succeeded(imported(published()))
    before = Path("out.safetensors").read_bytes()
    again = succeeded(imported(published()))
    assert again.stdout == first.stdout
    assert "imported already" in again.stderr
    ends_with(imported(published(), source="elsewhere"), 2, "out.safetensors holds other weights")
    assert Path("out.safetensors").read_bytes() == before
    Path("out.safetensors").write_text("notes")
    ends_with(imported(published()), 2, "no weights file of ours")
    assert Path("out.safetensors").read_text() == "notes"


def test_where_nothing_can_be_written_it_is_a_storage_error(imported, ends_with) -> None:
    Path("file").write_text("")
    ends_with(imported(published(), "-o", "file/out.safetensors"), 5, "cannot write")


# ------------------------------------------------------------------------------------------------- what it is good for


def predictions(bench, model: str, horizon: int) -> dict[str, np.ndarray]:
    with np.load(bench.record(model, horizon)["path"].with_suffix(".predictions.npz")) as kept:
        return dict(kept)


def test_the_line_that_is_printed_runs_and_predicts_with_the_published_numbers(bench, imported) -> None:
    line = succeeded(imported(published(), "--set", "squares.size=12")).stdout
    words = shlex.split(line.partition("use them: ")[2])
    assert words[0] == "vpbench"
    result = bench(*words[1:], "--clips", "3", "--keep-predictions", "3")
    assert result.exit_code == 0, result.output
    kept, state = predictions(bench, "mixture", 10), {k: v.double().numpy() for k, v in published().items()}
    assert kept["predicted"].shape == (3, 10, 1, 12, 12)
    for k in range(1, 11):
        weights = state["mix.weight"][0] + k * state["mix.weight"][1]
        wanted = sum(weights[t] * kept["context"][:, t] for t in range(CONTEXT)) * state["gain.weight"].mean()
        np.testing.assert_allclose(kept["predicted"][:, k - 1], wanted, rtol=1e-5)


def test_records_and_boards_say_where_the_weights_are_from(bench, imported) -> None:
    succeeded(imported(published(), "--trained-on", "squares, 200 epochs"))
    weights = ("--weights", "out.safetensors")
    result = bench.run("mixture", *weights, "--context", CONTEXT, horizon=2)
    assert result.exit_code == 0, result.output
    assert f"imported: {SOURCE}" in result.stdout
    about = bench.record("mixture", 2)["about"]
    assert about["training"]["imported_from"] == read_header(Path("out.safetensors"))["imported_from"]
    says = "trained elsewhere, for squares (squares, 200 epochs); whether it has seen these clips is not known"
    assert about["caveat"] == f"made up; {says}"
    path = bench.record("mixture", 2)["path"]
    assert bench("verify", path, *weights).exit_code == 0
    for form in ("text", "markdown", "latex", "csv"):
        board = succeeded(bench("leaderboard", "--results", "runs", "--format", form)).stdout
        assert "whether it has seen these clips is not known" in " ".join(board.split())
    (board,) = json.loads(bench("leaderboard", "--results", "runs", "--format", "json", "--horizon", "2").stdout)[
        "boards"
    ]
    (row,) = board["rows"]
    assert row["training"]["imported_from"]["source"] == SOURCE
    assert row["training"]["sequences"] is None
    succeeded(bench("report", "--results", "runs", "-o", "report.html"))
    assert f"imported: {SOURCE}" in Path("report.html").read_text()


def test_of_another_dataset_than_they_were_for_they_are_zero_shot(bench, imported) -> None:
    succeeded(imported(published(), "--dataset", "ramps", "--frame-shape", "1,16,16"))
    result = bench.run("mixture", "--weights", "out.safetensors", "--context", CONTEXT)
    assert result.exit_code == 0, result.output
    assert "zero-shot: trained elsewhere, for ramps; whether" in bench.record("mixture")["about"]["caveat"]


def test_weights_of_two_sources_are_two_rows(bench, imported) -> None:
    succeeded(imported(published()))
    succeeded(imported(published(), "-o", "again.safetensors", source="elsewhere"))
    for name in ("out", "again"):
        result = bench.run("mixture", "--weights", f"{name}.safetensors", "--context", CONTEXT)
        assert result.exit_code == 0, result.output
    board = succeeded(bench("leaderboard", "--results", "runs")).stdout
    assert f"imported: {SOURCE}" in board
    assert "imported: elsewhere" in board
    assert len(set(re.findall(r"mixture, weights [0-9a-f]{8}", board))) == 2


@pytest.mark.parametrize("origin", ["theirs", {}, {"source": 3}, None])
def test_an_origin_that_says_nothing_is_a_damaged_header(bench, ends_with, origin: Any) -> None:
    header = {
        "model": {"name": "mixture"},
        "dataset": {"name": "squares"},
        "frame_shape": [1, 16, 16],
        "context": CONTEXT,
        "imported_from": origin,
    }
    save(Path("odd.safetensors"), expected(), header, half=False)
    ends_with(bench("weights", "show", "odd.safetensors"), 4, "odd.safetensors is damaged", "imported_from")


def test_the_recipe_of_the_guide_makes_a_refused_file_one_that_is_taken(imported, ends_with) -> None:
    content = {"state_dict": prefixed("model."), "args": argparse.Namespace(lr=0.1)}
    ends_with(imported(content), 4, "argparse.Namespace", "docs/published-weights.md")
    (recipe,) = re.findall(r"`tensors_only.py`:\n\n```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    Path("tensors_only.py").write_text(recipe)
    command = [sys.executable, "tensors_only.py", "theirs.pth", "theirs.safetensors"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    succeeded(imported(Path("theirs.safetensors")))
    assert_same(load_file("out.safetensors"), expected())


# ----------------------------------------------------------------------------------------------- a model of the family


class OpenSTLConvLSTM(nn.Module):
    """The tensors of OpenSTL's ConvLSTM by its names, and its equations in float64, one convolution per input."""

    def __init__(self, layers: int, depth: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.cell_list = nn.ModuleList()
        for layer in range(layers):
            cell = nn.Module()
            for name, inputs, outputs, side in (
                ("conv_x", hidden if layer else depth, 4 * hidden, kernel),
                ("conv_h", hidden, 4 * hidden, kernel),
                ("conv_o", 2 * hidden, hidden, kernel),  # made there and never used
            ):
                cell.add_module(name, nn.Sequential(nn.Conv2d(inputs, outputs, side, bias=False)))
            cell.add_module("conv_last", nn.Conv2d(2 * hidden, hidden, 1, bias=False))  # neither
            self.cell_list.append(cell)
        self.conv_last = nn.Conv2d(hidden, depth, 1, bias=False)

    @torch.no_grad()
    def forward(self, patches: Tensor, horizon: int) -> Tensor:
        """(B, T, D, H, W) to the patches of the frames after them."""
        state, side = self.double().state_dict(), self.cell_list[0].conv_x[0].kernel_size[0] // 2
        batch, given, _, height, width = patches.shape
        zeros = torch.zeros(batch, self.hidden, height, width, dtype=torch.float64)
        h, c = [zeros] * len(self.cell_list), [zeros] * len(self.cell_list)
        predicted: list[Tensor] = []
        for t in range(given + horizon - 1):
            x = patches[:, t] if t < given else predicted[-1]
            for layer in range(len(self.cell_list)):
                gates = conv2d(x, state[f"cell_list.{layer}.conv_x.0.weight"], padding=side)
                gates = gates + conv2d(h[layer], state[f"cell_list.{layer}.conv_h.0.weight"], padding=side)
                i, f, g, o = gates.split(self.hidden, dim=1)
                c[layer] = f.sigmoid() * c[layer] + i.sigmoid() * g.tanh()
                h[layer] = x = o.sigmoid() * c[layer].tanh()
            predicted.append(conv2d(x, state["conv_last.weight"]))
        return torch.stack(predicted[given - 1 :], dim=1)


def in_patches(frames: Tensor, side: int) -> Tensor:
    """(B, T, 1, H, W) to (B, T, side², H / side, W / side): the place in a patch, row by row, is the channel."""
    rows = [frames[:, :, 0, y::side, x::side] for y in range(side) for x in range(side)]
    return torch.stack(rows, dim=2)


def test_openstls_convlstm_runs_from_its_checkpoint_to_its_record(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Lightning saves it, at a tiny size; what is predicted is what its equations give."""
    monkeypatch.setenv("VPBENCH_PLUGINS", "fakes,metrics,baselines")
    torch.manual_seed(3)
    theirs = OpenSTLConvLSTM(layers=2, depth=16, hidden=6, kernel=3)
    with torch.no_grad():
        for value in theirs.parameters():
            value.mul_(4)  # frames of some contrast
    torch.save({"epoch": 9, "state_dict": prefixed("model.", theirs.state_dict())}, "best.ckpt")
    size = [word for key in ("hidden=6", "layers=2", "kernel=3") for word in ("--set", key)]
    options = ("--model", "convlstm", "--dataset", "squares", "--context", "4", "--source", "OpenSTL")
    line = succeeded(bench("weights", "import", "best.ckpt", *options, *size)).stdout
    words = shlex.split(line.partition("use them: ")[2])
    result = bench(*words[1:], "--clips", "2", "--keep-predictions", "2")
    assert result.exit_code == 0, result.output
    kept = predictions(bench, "convlstm", 10)
    wanted = theirs(in_patches(torch.from_numpy(kept["context"]).double(), 4), 10)
    assert float(wanted.std()) > 0.1
    np.testing.assert_allclose(in_patches(torch.from_numpy(kept["predicted"]), 4), wanted, atol=1e-5)
    assert bench.record("convlstm", 10)["about"]["training"]["imported_from"]["source"] == "OpenSTL"


# ---------------------------------------------------------------------------------------------------------------- show

TRAINED = {
    "model": {"name": "toy", "version": "3", "config": {"hidden": [8, 16], "act": "relu", "deep": True}},
    "dataset": {"name": "squares", "version": "1", "config": {"size": 16}, "fingerprint": "f" * 64},
    "context": 10,
    "horizon": 20,
    "budget": "7m",
    "batch_size": 32,
    "seed": 5,
    "precision": "float32",
    "frame_shape": [1, 16, 16],
    "updates": 4000,
    "total_updates": 9000,
    "sequences": 128000,
    "seconds": 411.5,
    "device": "Acme 9000",
    "threads": 2,
    "stored_as": "float16",
    "code_version": {"vpbench": "1.2", "torch": "2.9"},
    "learnt_from": None,
    "history": [
        {"update": 200, "sequences": 6400, "loss": 0.0512345678, "val_mse": 0.06, "val_mse_first_10": 0.05},
        {"update": 4000, "sequences": 128000, "loss": 0.01, "val_mse": 0.012, "val_mse_first_10": 0.009},
    ],
}


def facts(text: str) -> dict[str, str]:
    """What is said of the first file, by what it is about."""
    lines = text.split("\n\n")[0].splitlines()[1:]
    return dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines)


class TestShow:
    def test_of_a_training_it_says_all_that_decides_and_the_history(self, bench) -> None:
        save(Path("toy.safetensors"), {"a": torch.rand(1000, 3), "b": torch.rand(2)}, TRAINED, half=True)
        text = succeeded(bench("weights", "show", "toy.safetensors")).stdout
        assert text.splitlines()[0] == "toy.safetensors"
        assert facts(text) == {
            "model": "toy 3, act=relu, deep=true, hidden=8,16",
            "dataset": "squares 1, size=16",
            "frames": "1×16×16; 10 given, 20 to predict",
            "trained": "128 k sequences: 4000 of 9000 updates of 32 (budget 7m), in 6.9 min, with seed 5",
            "on": "Acme 9000, 2 threads, float32",
            "by": "torch 2.9, vpbench 1.2",
            "holds": f"2 tensors, 3 k values, float16, {Path('toy.safetensors').stat().st_size / 1000:.3g} kB",
            "sha256": sha256_of(Path("toy.safetensors")),
        }
        table = [line.split() for line in text.split("\n\n")[1].splitlines()]
        rows = [["200", "6400", "0.0512346", "0.06", "0.05"], ["4000", "128000", "0.01", "0.012", "0.009"]]
        assert table[1:] == rows

    @pytest.mark.parametrize("total", [{"total_updates": 4000}, {"total_updates": None}])
    def test_of_a_finished_training_there_is_one_number_of_updates(self, bench, total: dict[str, Any]) -> None:
        save(Path("toy.safetensors"), {"a": torch.rand(2)}, TRAINED | total, half=False)
        assert ": 4000 updates of 32" in facts(succeeded(bench("weights", "show", "toy.safetensors")).stdout)["trained"]

    def test_of_imported_weights_it_says_where_they_are_from(self, bench, imported) -> None:
        succeeded(imported(published(), "--trained-on", "squares, 200 epochs"))
        found = facts(succeeded(bench("weights", "show", "out.safetensors")).stdout)
        assert found["source"] == SOURCE
        assert found["imported"] == f"theirs.pth (sha256 {sha256_of(Path('theirs.pth'))})"
        assert found["trained on"] == "squares, 200 epochs"
        assert not {"trained", "on", "by"} & found.keys()

    def test_as_json_it_is_the_header_and_what_is_in_the_file(self, bench, imported) -> None:
        save(Path("toy.safetensors"), {"a": torch.rand(3, 4), "b": torch.tensor(2)}, TRAINED, half=False)
        succeeded(imported(published()))
        result = succeeded(bench("weights", "show", "toy.safetensors", "out.safetensors", "--json"))
        toy, other = json.loads(result.stdout)["weights"]
        assert toy == {
            "file": "toy.safetensors",
            "sha256": sha256_of(Path("toy.safetensors")),
            "bytes": Path("toy.safetensors").stat().st_size,
            "tensors": 2,
            "values": 13,
            "header": TRAINED,
        }
        assert other["header"]["imported_from"]["source"] == SOURCE

    def test_of_a_model_it_shows_the_weights_that_ship_with_it(self, bench, monkeypatch, ends_with) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "latentode,importing")
        shown = json.loads(succeeded(bench("weights", "show", "--model", "latentode", "--json")).stdout)["weights"]
        assert sorted(told["header"]["context"] for told in shown) == [2, 10]
        for told in shown:
            assert told["header"]["model"]["name"] == "latentode"
            assert told["sha256"] == sha256_of(Path(told["file"]))
        ends_with(bench("weights", "show", "--model", "mixture"), 2, "mixture ships no weights")

    @pytest.mark.parametrize("arguments", [(), ("out.safetensors", "--model", "mixture")])
    def test_it_wants_files_or_a_model(self, bench, ends_with, arguments: tuple[str, ...]) -> None:
        ends_with(bench("weights", "show", *arguments), 2, "name weights files, or a --model")

    def test_a_file_of_others_is_no_weights_file_yet(self, bench, ends_with) -> None:
        torch.save(published(), "theirs.pth")
        ends_with(bench("weights", "show", "theirs.pth"), 4, "is a pickle", "vpbench weights import")
        save_file(published(), "theirs.safetensors")
        ends_with(bench("weights", "show", "theirs.safetensors"), 4, "no vpbench header", "vpbench weights import")

    def test_a_header_may_say_anything_and_reaches_no_terminal(self, bench) -> None:
        odd = {
            "model": {"name": "toy\x1b[31m", "version": 3, "config": {"a\nb": None}},
            "dataset": {"name": "squares", "config": "large"},
            "frame_shape": [1, 16, 16],
            "context": 2,
            "updates": {"many": 1},
            "sequences": "lots",
            "seconds": "long",
            "threads": [1],
            "code_version": 3,
            "history": [3, {"update": "\x07", "loss": [1]}, {}],
        }
        save_file({"a": torch.rand(3)}, "odd.safetensors", metadata={HEADER_KEY: json.dumps(odd)})
        text = succeeded(bench("weights", "show", "odd.safetensors")).stdout
        assert all(line.isprintable() for line in text.splitlines())
        assert "toy" in text
        for history in (3, [3], [{}], None, [{"loss": 1.0}]):
            save_file(
                {"a": torch.rand(3)}, "odd.safetensors", metadata={HEADER_KEY: json.dumps({**odd, "history": history})}
            )
            succeeded(bench("weights", "show", "odd.safetensors"))
