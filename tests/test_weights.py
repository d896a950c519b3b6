"""Weights files: what is written comes back, and what is damaged, foreign or hostile is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vpbench.cli import main
from vpbench.errors import ExitCode, StorageError, WeightsError
from vpbench.specs import Weights
from vpbench.weights import WeightsFile, as_stored, load_into, read_header, save, sha256_of

HEADER: dict[str, Any] = {
    "model": {"name": "toy", "version": "1", "config": {"width": 3}},
    "dataset": {"name": "dots", "version": "1", "config": {}, "fingerprint": "f"},
    "frame_shape": [1, 8, 8],
    "context": 2,
}


def toy() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good weights file."""
    save(tmp_path / "toy.safetensors", toy().state_dict(), HEADER, half=False)
    return tmp_path / "toy.safetensors"


def refusal(path: Path) -> str:
    """The one line that refuses a file, by whichever step comes first; the command line gives it too."""
    with pytest.raises(WeightsError) as refused:
        load_into(toy(), WeightsFile.open(path).path)
    assert refused.value.exit_code == ExitCode.DATA
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)
    return str(refused.value)


class TestGoodFile:
    def test_comes_back_bit_for_bit(self, path: Path) -> None:
        other = toy()
        with torch.no_grad():
            for value in other.state_dict().values():
                value.zero_()
        load_into(other, path)
        for name, value in toy().state_dict().items():
            assert torch.equal(other.state_dict()[name], value)
            assert other.state_dict()[name].dtype == value.dtype

    def test_says_what_it_is_for(self, path: Path) -> None:
        file = WeightsFile.open(path)
        assert (file.model, file.config, file.frame_shape, file.context) == ("toy", {"width": 3}, (1, 8, 8), 2)
        assert file.header == HEADER
        assert file.sha256 == sha256_of(path)

    def test_is_the_same_bytes_for_the_same_content(self, path: Path, tmp_path: Path) -> None:
        again = tmp_path / "again"
        save(again, dict(reversed(toy().state_dict().items())), dict(reversed(HEADER.items())), half=False)
        assert again.read_bytes() == path.read_bytes()

    def test_of_half_precision_fills_a_model_of_full_precision(self, path: Path) -> None:
        save(path, toy().state_dict(), HEADER, half=True)
        model = toy()
        load_into(model, path)
        assert load_file(path)["0.weight"].dtype == torch.float16
        assert model.state_dict()["0.weight"].dtype == torch.float32
        assert torch.equal(model.state_dict()["0.weight"], toy().state_dict()["0.weight"].half().float())
        assert torch.equal(model.state_dict()["0.bias"], toy().state_dict()["0.bias"])

    def test_may_have_tied_and_channels_last_tensors(self, path: Path) -> None:
        model = nn.ModuleDict({"a": nn.Conv2d(4, 5, 3), "b": nn.Conv2d(4, 5, 3)}).to(memory_format=torch.channels_last)
        state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        save(path, state, HEADER, half=False)
        assert all(torch.equal(value, state[name]) for name, value in load_file(path).items())

    def test_replaced_meanwhile_is_noticed(self, path: Path) -> None:
        file = WeightsFile.open(path)
        load_into(toy(), file.path, sha256=file.sha256)
        save(path, toy().state_dict(), {**HEADER, "seed": 1}, half=False)
        with pytest.raises(WeightsError, match="have been replaced"):
            load_into(toy(), file.path, sha256=file.sha256)

    def test_is_no_pickle_because_its_length_begins_like_one(self, path: Path) -> None:
        """The first byte of the file is the low byte of the length of its header: 0x80 for one file in 32."""
        for padding in range(0, 256, 4):
            rewrite(path, {"vpbench": json.dumps({**HEADER, "note": "x" * padding})})
            if path.read_bytes()[0] == 0x80:
                break
        assert path.read_bytes()[0] == 0x80
        assert read_header(path)["note"] == "x" * padding


class TestStored:
    def test_halves_matrices_and_nothing_else(self) -> None:
        state = {
            "matrix": torch.rand(3, 4),
            "kernel": torch.rand(2, 3, 3, 3, dtype=torch.float64),
            "vector": torch.rand(5),
            "scalar": torch.rand(()),
            "count": torch.tensor([[7]]),
            "huge": torch.tensor([[1e5, 1.0]]),
        }
        found = as_stored(state, half=True)
        assert {name: value.dtype for name, value in found.items()} == {
            "matrix": torch.float16,
            "kernel": torch.float16,
            "vector": torch.float32,
            "scalar": torch.float32,
            "count": torch.int64,
            "huge": torch.float32,
        }
        assert all(value is state[name] for name, value in as_stored(state, half=False).items())

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("half", [False, True])
    def test_is_nothing_that_is_not_finite(self, path: Path, bad: float, half: bool) -> None:
        before = path.read_bytes()
        state: dict[str, Tensor] = {name: value.clone() for name, value in toy().state_dict().items()}
        state["0.weight"][1, 2] = bad
        with pytest.raises(WeightsError, match="not written"):
            save(path, state, HEADER, half=half)
        assert path.read_bytes() == before

    def test_where_there_is_no_place_for_it_is_a_storage_error(self, path: Path) -> None:
        with pytest.raises(StorageError, match="cannot write"):
            save(path / "inside", toy().state_dict(), HEADER, half=False)


class Exploit:
    """What a hostile file would do."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.proof),)


class TestPickle:
    @pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
    def test_is_refused_and_runs_no_code(self, path: Path, tmp_path: Path, protocol: int) -> None:
        proof = tmp_path / "code ran"
        path.write_bytes(pickle.dumps(Exploit(proof), protocol=protocol))
        line = refusal(path)
        assert not proof.exists()
        if protocol >= 2:  # older ones look like text
            assert "is a pickle, and reading a pickle runs its code" in line
        pickle.loads(path.read_bytes())
        assert proof.exists()

    @pytest.mark.parametrize("archive", [True, False])
    def test_of_torch_save_is_refused_and_runs_no_code(self, path: Path, tmp_path: Path, archive: bool) -> None:
        proof = tmp_path / "code ran"
        torch.save({"a": Exploit(proof)}, path, _use_new_zipfile_serialization=archive)
        assert "is a pickle" in refusal(path)
        assert not proof.exists()


def rewrite(path: Path, metadata: dict[str, str] | None, state: dict[str, Tensor] | None = None) -> None:
    save_file(state or {name: value.clone() for name, value in toy().state_dict().items()}, path, metadata)


class TestDamagedFile:
    def test_missing(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(tmp_path / "missing.safetensors")

    def test_folder(self, tmp_path: Path) -> None:
        assert "Is a directory" in refusal(tmp_path)

    @pytest.mark.parametrize("kept", [0, 3, 8, 100, -1])
    def test_cut_short(self, path: Path, kept: int) -> None:
        path.write_bytes(path.read_bytes()[:kept])
        assert "is not a readable safetensors file" in refusal(path)

    @pytest.mark.parametrize(
        "content", [b"hello", b"\xff" * 64, b"\0" * 64, b"version https://git-lfs.github.com/spec/v1"]
    )
    def test_something_else(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        assert "is not a readable safetensors file" in refusal(path)

    def test_longer_than_it_should_be(self, path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"more")
        assert "is not a readable safetensors file" in refusal(path)

    @pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
    def test_without_a_header_of_ours(self, path: Path, metadata: dict[str, str] | None) -> None:
        rewrite(path, metadata)
        assert "has no vpbench header" in refusal(path)

    @pytest.mark.parametrize("text", ["", "{", "nonsense", '{"model": }', "[" * 100_000])
    def test_header_that_is_not_json(self, path: Path, text: str) -> None:
        rewrite(path, {"vpbench": text})
        assert f"the vpbench header of {path} is damaged" in refusal(path)

    @pytest.mark.parametrize(
        "change",
        [
            {"model": None},
            {"model": "toy"},
            {"model": {}},
            {"model": {"name": 3}},
            {"model": {"name": "toy", "config": [1]}},
            {"dataset": None},
            {"dataset": "dots"},
            {"dataset": {"name": None}},
            {"frame_shape": None},
            {"frame_shape": 64},
            {"frame_shape": [64, 64]},
            {"frame_shape": [1, 64, 64.0]},
            {"frame_shape": [1, 0, 64]},
            {"frame_shape": "1x8"},
            {"context": None},
            {"context": "2"},
            {"context": True},
            {"context": 0},
            {"context": 2.0},
        ],
        ids=str,
    )
    def test_header_with_a_field_of_the_wrong_type(self, path: Path, change: dict[str, Any]) -> None:
        rewrite(path, {"vpbench": json.dumps({**HEADER, **change})})
        assert f"the vpbench header of {path} is damaged" in refusal(path)

    @pytest.mark.parametrize("document", [[], 3, None, "toy"])
    def test_header_that_is_no_object(self, path: Path, document: Any) -> None:
        rewrite(path, {"vpbench": json.dumps(document)})
        assert "it is no JSON object" in refusal(path)


class TestForeignTensors:
    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda s: s.pop("0.bias"), "no 0.bias"),
            (lambda s: s.update(extra=torch.zeros(2)), "unknown extra"),
            (lambda s: s.update({"0.weight": torch.zeros(3, 5)}), "0.weight is (3, 5), needs (3, 4)"),
            (lambda s: s.update({"0.bias": torch.zeros(3, dtype=torch.int32)}), "0.bias is torch.int32, needs"),
            (
                lambda s: s.update({"1.num_batches_tracked": torch.tensor(1.0)}),
                "1.num_batches_tracked is torch.float32",
            ),
            (lambda s: (s.pop("0.bias"), s.pop("1.bias"), s.update(x=torch.ones(1))), "no 0.bias and 2 more"),
        ],
    )
    def test_are_named(self, path: Path, change: Callable[[dict[str, Tensor]], Any], says: str) -> None:
        state = {name: value.clone() for name, value in toy().state_dict().items()}
        change(state)
        rewrite(path, {"vpbench": json.dumps(HEADER)}, state)
        line = refusal(path)
        assert "do not fit the model and its config" in line
        assert says in line

    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_that_are_not_finite_are_refused(self, path: Path, bad: float) -> None:
        """`save` never writes one: the file was damaged, or written by someone else."""
        state = {name: value.clone() for name, value in toy().state_dict().items()}
        state["0.weight"][0, 0] = bad
        rewrite(path, {"vpbench": json.dumps(HEADER)}, state)
        assert "0.weight holds NaN or infinity" in refusal(path)

    def test_leave_the_model_as_it_was(self, path: Path) -> None:
        state = {name: value.clone() + 1 for name, value in toy().state_dict().items()}
        state["1.weight"][0] = float("nan")
        rewrite(path, {"vpbench": json.dumps(HEADER)}, state)
        model = toy()
        with pytest.raises(WeightsError):
            load_into(model, path)
        assert all(torch.equal(value, toy().state_dict()[name]) for name, value in model.state_dict().items())


class TestBundled:
    @pytest.fixture
    def package(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """An importable package that ships the file."""
        folder = path.parent / "toy_package_with_weights"
        (folder / "weights").mkdir(parents=True)
        (folder / "__init__.py").touch()
        path.rename(folder / "weights" / "toy.safetensors")
        monkeypatch.syspath_prepend(folder.parent)
        monkeypatch.delitem(sys.modules, folder.name, raising=False)
        return folder / "weights" / "toy.safetensors"

    def spec(self, file: str, sha256: str = "0" * 64) -> Weights:
        return Weights(file=file, sha256=sha256, dataset="dots", frame_shape=(1, 8, 8), context=2)

    def test_are_found_in_their_package(self, package: Path) -> None:
        spec = self.spec("toy_package_with_weights:weights/toy.safetensors", sha256_of(package))
        assert WeightsFile.bundled(spec).path == package
        assert WeightsFile.bundled(spec).header == HEADER

    @pytest.mark.parametrize("content", [None, b"version https://git-lfs.github.com/spec/v1\n"])
    def test_other_bytes_are_refused(self, package: Path, content: bytes | None) -> None:
        spec = self.spec("toy_package_with_weights:weights/toy.safetensors", "ab" * 32)
        if content:
            package.write_bytes(content)
        with pytest.raises(WeightsError, match="is not the file its plugin shipped"):
            WeightsFile.bundled(spec)

    @pytest.mark.parametrize(
        "file",
        [
            "toy_package_with_weights:weights/other.safetensors",
            "no_such_package:a.bin",
            "this:a.bin",  # a module, not a package
        ],
    )
    def test_missing_ones_are_said_to_be(self, package: Path, file: str) -> None:
        with pytest.raises(WeightsError, match=r"are not installed .* reinstall the plugin"):
            WeightsFile.bundled(self.spec(file))


@pytest.mark.parametrize("kind", ["missing", "folder", "pickle", "cut short", "foreign"])
def test_command_line_refuses_bad_files_in_one_line(path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Path(__file__).parent / "training_plugin"
    monkeypatch.syspath_prepend(plugin)
    monkeypatch.setenv("VPBENCH_PLUGINS", "training-fakes")
    monkeypatch.chdir(path.parent)
    if kind == "missing":
        path.unlink()
    elif kind == "folder":
        path = path.parent
    elif kind == "pickle":
        torch.save({}, path)
    elif kind == "cut short":
        path.write_bytes(path.read_bytes()[:-3])
    else:
        rewrite(path, None)
    line = ["run", "--model", f"{plugin / 'models.py'}:Tiny", "--dataset", "squares", "--horizon", "3"]
    on_term = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(main, [*line, "--weights", str(path)])
    signal.signal(signal.SIGTERM, on_term)
    assert result.exit_code == ExitCode.DATA, result.output
    assert result.stderr.startswith("vpbench: ")
    assert len(result.stderr.splitlines()) == 1
