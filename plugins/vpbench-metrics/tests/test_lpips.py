"""LPIPS: the computation against plain loops in float64, and what becomes of files that are not what they should be.

The published weights are not at hand where these tests run, so none of them holds the published *values*: files with
random weights, written here, take their place. Names, shapes and every step of the computation are those of the paper
and of the authors' files.
"""

from __future__ import annotations

import hashlib
import json
import pickle

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from scipy.signal import correlate
from vpbench_metrics.lpips import LPIPS, PUBLISHED_HEADS, LPIPSConfig

from vpbench import Scored
from vpbench.errors import WeightsError

#: torchvision's AlexNet: place in `features`, output and input channels, kernel.
ALEXNET = ((0, 64, 3, 11), (3, 192, 64, 5), (6, 384, 192, 3), (8, 256, 384, 3), (10, 256, 256, 3))


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def backbone():
    generator = torch.Generator().manual_seed(0)
    found = {"classifier.1.weight": torch.zeros(2, 2)}  # in the file of torchvision, and of no use here
    for place, outputs, inputs, kernel in ALEXNET:
        scale = (2 / (inputs * kernel**2)) ** 0.5
        found[f"features.{place}.weight"] = scale * torch.randn(outputs, inputs, kernel, kernel, generator=generator)
        found[f"features.{place}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return found


@pytest.fixture(scope="module")
def heads():
    generator = torch.Generator().manual_seed(1)
    return {
        f"lin{k}.model.1.weight": torch.rand(1, outputs, 1, 1, generator=generator)
        for k, (_, outputs, _, _) in enumerate(ALEXNET)
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory, backbone, heads):
    """The settings of both files, as they are published: pickles of tensors."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(backbone, folder / "alexnet.pth")
    torch.save(heads, folder / "heads.pth")
    return settings_of(folder / "alexnet.pth", folder / "heads.pth")


def settings_of(backbone_path, heads_path):
    return {
        "backbone": str(backbone_path),
        "backbone_sha256": sha256(backbone_path),
        "heads": str(heads_path),
        "heads_sha256": sha256(heads_path),
    }


def measured(files, predicted, target):
    scored = Scored(predicted=torch.from_numpy(predicted), target=torch.from_numpy(target))
    return LPIPS(LPIPSConfig(**files)).statistics(scored)["lpips"]


# --------------------------------------------------------------------------------------------------------- computation


def reference_layers(frame, backbone):
    """What AlexNet's rectifiers give for a frame (3, H, W) in [0, 1]: scipy's correlation in float64, plain loops."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of ImageNet, in [0, 1]
    shift, scale = np.round(2 * mean - 1, 3), 2 * deviation  # the published layer has three digits
    x = (2 * frame.astype(np.float64) - 1 - shift[:, None, None]) / scale[:, None, None]
    layers = []
    for place, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
        if place in (3, 6):
            height, width = ((size - 3) // 2 + 1 for size in x.shape[1:])
            x = np.array(
                [
                    [[plane[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max() for j in range(width)] for i in range(height)]
                    for plane in x
                ]
            )
        x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
        weight, bias = (backbone[f"features.{place}.{what}"].double().numpy() for what in ("weight", "bias"))
        x = np.array([correlate(x, kernel, mode="valid", method="direct")[0, ::stride, ::stride] for kernel in weight])
        x = np.maximum(x + bias[:, None, None], 0)
        layers.append(x)
    return layers


def reference_lpips(predicted, target, backbone, heads):
    total = 0.0
    pairs = zip(reference_layers(predicted, backbone), reference_layers(target, backbone), strict=True)
    for k, (x, y) in enumerate(pairs):
        head = heads[f"lin{k}.model.1.weight"].double().numpy().ravel()
        _, height, width = x.shape
        values = []
        for i in range(height):
            for j in range(width):
                a, b = (z[:, i, j] / (np.linalg.norm(z[:, i, j]) + 1e-10) for z in (x, y))
                values.append(np.sum(head * (a - b) ** 2))
        total += np.mean(values)
    return total


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 31, 35), (3, 35, 31)])
def test_equals_plain_loops_in_float64(kit, files, backbone, heads, channels, height, width):
    predicted, target = kit.pair("noisy", (1, 2, channels, height, width))
    found = measured(files, predicted, target)
    assert found.shape == (1, 2)
    assert found.dtype == torch.float64
    for step in range(2):
        colour = [np.broadcast_to(frames[0, step], (3, height, width)) for frames in (predicted, target)]
        assert found[0, step].item() == pytest.approx(reference_lpips(*colour, backbone, heads), rel=1e-5)


def test_equal_frames_are_at_zero_and_it_is_symmetric(kit, files):
    predicted, target = kit.pair("noisy", (2, 2, 1, 64, 64))
    assert (measured(files, target, target) == 0).all()
    torch.testing.assert_close(
        measured(files, predicted, target), measured(files, target, predicted), rtol=1e-12, atol=0
    )
    assert (measured(files, predicted, target) > 0).all()


def test_grey_is_three_equal_channels(kit, files):
    grey = kit.pair("noisy", (1, 2, 1, 40, 40))
    colour = (np.repeat(frames, 3, axis=2) for frames in grey)
    torch.testing.assert_close(measured(files, *grey), measured(files, *colour), rtol=1e-6, atol=0)


def test_in_pieces_it_equals_the_whole(kit, files, monkeypatch):
    pair = kit.pair("noisy", (2, 3, 1, 40, 40))
    whole = measured(files, *pair)
    monkeypatch.setattr("vpbench_metrics.lpips_network._FRAMES_AT_ONCE", 4)
    torch.testing.assert_close(measured(files, *pair), whole, rtol=1e-6, atol=0)


def test_frames_are_left_alone_and_the_random_state_too(kit, files):
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (1, 2, 1, 40, 40)))
    before, state = (predicted.clone(), target.clone()), torch.random.get_rng_state()
    LPIPS(LPIPSConfig(**files)).statistics(Scored(predicted=predicted, target=target))
    assert torch.equal(predicted, before[0])
    assert torch.equal(target, before[1])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_two_channels_are_refused(files):
    frames = np.zeros((1, 1, 2, 40, 40), dtype=np.float32)
    with pytest.raises(ValueError, match="frames of 1 or 3 channels"):
        measured(files, frames, frames)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_it_is_float32_without_tf32_and_stays_there(kit, files):
    predicted, target = map(torch.from_numpy, kit.pair("noisy", (2, 3, 1, 64, 64)))
    metric = LPIPS(LPIPSConfig(**files))
    here = metric.statistics(Scored(predicted=predicted, target=target))["lpips"]
    there = metric.statistics(Scored(predicted=predicted.cuda(), target=target.cuda()))["lpips"]
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=1e-5, atol=0)


# --------------------------------------------------------------------------------------------------------------- files


def test_without_files_it_says_exactly_what_to_give(files):
    assert LPIPS().why_not() == (
        "needs the weights of AlexNet and of the heads of LPIPS: --set lpips.backbone=FILE "
        "--set lpips.backbone_sha256=SHA256 --set lpips.heads=FILE"
    )
    assert LPIPS(LPIPSConfig(**{**files, "heads": ""})).why_not().endswith("LPIPS: --set lpips.heads=FILE")
    assert LPIPS(LPIPSConfig(**files)).why_not() == ""
    frames = torch.zeros(1, 1, 1, 40, 40)
    with pytest.raises(WeightsError, match="lpips needs the weights"):
        LPIPS().statistics(Scored(predicted=frames, target=frames))


def test_the_heads_that_are_meant_unless_others_are_named_are_the_published_ones():
    """Version 0.1 for AlexNet; copies of the file carry the first digits of its hash in their name."""
    assert LPIPSConfig().heads_sha256 == PUBLISHED_HEADS
    assert PUBLISHED_HEADS.startswith("df73285e")


def test_safetensors_files_give_the_same(kit, files, backbone, heads, tmp_path):
    save_file(backbone, tmp_path / "alexnet.safetensors")
    save_file(heads, tmp_path / "heads.safetensors")
    other = settings_of(tmp_path / "alexnet.safetensors", tmp_path / "heads.safetensors")
    pair = kit.pair("noisy", (1, 1, 1, 40, 40))
    assert torch.equal(measured(files, *pair), measured(other, *pair))


class RunsWhenRead:
    def __reduce__(self):
        return (pytest.fail, ("code of a weights file has run",))


def written(folder, what, backbone, heads):
    """Settings with one file that is not what it should be."""
    good = {key: value.clone() for key, value in heads.items()}
    path = folder / "heads.pth"
    match what:
        case "missing":
            path = folder / "none.pth"
        case "another file":
            torch.save(good, path)
        case "a tensor is missing":
            del good["lin3.model.1.weight"]
        case "names of another network":
            good = {"slice1.0.weight": torch.zeros(1)}
        case "another shape":
            good["lin0.model.1.weight"] = torch.zeros(1, 96, 1, 1)
        case "whole numbers":
            good["lin0.model.1.weight"] = torch.zeros(1, 64, 1, 1, dtype=torch.int64)
        case "not finite":
            good["lin2.model.1.weight"][0, 7] = torch.nan
        case "negative":
            good["lin2.model.1.weight"][0, 7] = -0.1
        case "code":
            path.write_bytes(pickle.dumps(RunsWhenRead(), protocol=2))
        case "a list":
            torch.save([good], path)
        case "cut short":
            torch.save(good, folder / "whole.pth")
            path.write_bytes((folder / "whole.pth").read_bytes()[:3000])
        case "cut short safetensors":
            path = folder / "heads.safetensors"
            save_file(good, folder / "whole.safetensors")
            path.write_bytes((folder / "whole.safetensors").read_bytes()[:-100])
        case "another ending":
            path = folder / "heads.npz"
            path.write_bytes(b"PK")
    if not path.exists() and what != "missing":
        torch.save(good, path)
    torch.save(backbone, folder / "alexnet.pth")
    hashed = sha256(path) if path.exists() and what != "another file" else "0" * 64
    return {
        "backbone": str(folder / "alexnet.pth"),
        "backbone_sha256": sha256(folder / "alexnet.pth"),
        "heads": str(path),
        "heads_sha256": hashed,
    }


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("missing", r"lpips.heads: cannot read .*none.pth: No such file or directory"),
        ("another file", r"lpips.heads: .*heads.pth has sha256 [0-9a-f]{64}, not 0{64}: give the file that is meant"),
        ("a tensor is missing", r"lpips.heads: .*has no tensor lin3.model.1.weight; it holds lin0.model.1.weight"),
        ("names of another network", r"has no tensor lin0.model.1.weight; it holds slice1.0.weight$"),
        ("another shape", r"has lin0.model.1.weight as float32 \(1, 96, 1, 1\), it must be floating point \(1, 64, 1"),
        ("whole numbers", r"has lin0.model.1.weight as int64 \(1, 64, 1, 1\), it must be floating point"),
        ("not finite", r"is damaged: lin2.model.1.weight holds NaN or infinity; get it again"),
        ("negative", r"has negative weights in lin2.model.1.weight; LPIPS has none"),
        ("code", r"cannot be read as a file of tensors"),
        ("a list", r"cannot be read as a file of tensors \(it holds something else than tensors by name\)"),
        ("cut short", r"cannot be read as a file of tensors"),
        ("cut short safetensors", r"cannot be read as a file of tensors"),
        ("another ending", r"is neither a .safetensors nor a .pth file"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_line_before_anything_is_predicted(
    tmp_path, backbone, heads, what, said
):
    metric = LPIPS(LPIPSConfig(**written(tmp_path, what, backbone, heads)))
    with pytest.raises(WeightsError, match=said) as raised:
        metric.why_not()
    assert "\n" not in str(raised.value)


def test_a_backbone_of_another_architecture_is_refused(tmp_path, backbone, heads):
    settings = written(tmp_path, "good", backbone | {"features.0.weight": torch.zeros(64, 3, 3, 3)}, heads)
    with pytest.raises(WeightsError, match=r"lpips.backbone: .*features.0.weight as float32 \(64, 3, 3, 3\)"):
        LPIPS(LPIPSConfig(**settings)).why_not()


@pytest.mark.parametrize("value", ["abc", "A" * 64, "0" * 63])
def test_what_is_no_sha256_is_refused_as_a_setting(value):
    with pytest.raises(ValueError, match="64 lower case hex digits"):
        LPIPSConfig(backbone_sha256=value)


def test_definition_says_whose_weights_and_it_is_off_by_default(kit):
    spec = kit.all_specs["lpips"]
    assert not spec.default
    assert "by the weights files given" in spec.definition
    assert spec.min_size == 31


def test_the_smallest_frame_is_what_the_spec_says(kit, files):
    smallest = np.random.default_rng(0).random((2, 1, 1, 1, 31, 31), dtype=np.float32)
    assert measured(files, *smallest).isfinite().all()
    with pytest.raises(RuntimeError):
        measured(files, *smallest[..., :30])


# ---------------------------------------------------------------------------------------------------------- front door


def run(tmp_path, *arguments):
    pytest.importorskip("vpbench_movingmnist")
    pytest.importorskip("vpbench_baselines")
    from vpbench.cli import main

    common = ["run", "--model", "black", "--dataset", "moving-mnist", "--horizon", "1", "--clips", "2"]
    where = ["--device", "cpu", "--results", str(tmp_path / "runs")]
    ran = CliRunner().invoke(main, [*common, *where, *arguments])
    paths = list((tmp_path / "runs").glob("*/black/*.json"))
    return ran, json.loads(paths[0].read_text(encoding="utf-8")) if paths else None


def test_a_run_without_files_says_why_it_is_not_computed_and_measures_the_rest(tmp_path):
    ran, record = run(tmp_path, "--metric", "mse", "--metric", "lpips")
    assert ran.exit_code == 0, ran.output
    assert "lpips is not computed on moving-mnist: needs the weights of AlexNet" in ran.output
    assert "--set lpips.backbone=FILE" in record["about"]["not_computed"]["lpips"]
    assert list(record["scores"]) == ["mse"]


def test_a_run_with_files_measures_it_and_its_record_says_by_which(tmp_path, files):
    settings = [part for key, value in files.items() for part in ("--set", f"lpips.{key}={value}")]
    ran, record = run(tmp_path, "--metric", "lpips", *settings)
    assert ran.exit_code == 0, ran.output
    assert record["scores"]["lpips"]["value"] > 0
    assert record["scores"]["lpips"]["config"] == {
        "backbone_sha256": files["backbone_sha256"],
        "heads_sha256": files["heads_sha256"],
    }


def test_a_run_with_another_file_than_the_one_named_ends_in_one_line(tmp_path, files):
    wrong = {**files, "backbone_sha256": "0" * 64}
    settings = [part for key, value in wrong.items() for part in ("--set", f"lpips.{key}={value}")]
    ran, record = run(tmp_path, "--metric", "lpips", *settings)
    assert ran.exit_code == 4
    assert record is None
    (line,) = ran.stderr.strip().splitlines()
    assert f"has sha256 {files['backbone_sha256']}, not {'0' * 64}" in line
