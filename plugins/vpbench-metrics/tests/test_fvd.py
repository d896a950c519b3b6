"""FVD with tiny detectors of the published one's interface, which is not at hand where these tests run.

So none of them holds published *values*; what goes into the detector and what is made of its answers is held exactly.
"""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.linalg import sqrtm
from torch import Tensor, nn
from vpbench_metrics.fvd import FVD, FVDConfig

from vpbench.errors import WeightsError

#: torch.export is to take the place of TorchScript; the published detector is of this kind.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")


class Moments(nn.Module):
    """Some moments of a stretch, scaled and resized as the published detector does it."""

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        assert x.dim() == 5 and x.size(1) == 3 and x.size(2) == 16, "stretches (B, 3, 16, H, W)"  # noqa: PT018
        if rescale:
            x = x / 255 * 2 - 1
        if resize:
            x = nn.functional.interpolate(x, size=[16, 8, 8], mode="trilinear", align_corners=False)
        if not return_features:
            x = x.softmax(dim=1)
        motion = x[:, :, 1:] - x[:, :, :-1]
        return torch.stack(
            [x.mean(dim=[1, 2, 3, 4]), x.std(dim=[1, 2, 3, 4]), motion.abs().mean(dim=[1, 2, 3, 4])], dim=1
        )


class Input(nn.Module):
    """What the detector is given, value by value."""

    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        assert rescale and resize and return_features, "published values are made with all three"  # noqa: PT018
        return x.flatten(1)


class OneRow(nn.Module):
    def forward(self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False) -> Tensor:
        return x.flatten(1).mean(0, keepdim=True)[:, :2]


class AnotherInterface(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """Settings of a detector file made of a module."""
    folder = tmp_path_factory.mktemp("detectors")

    def written(module):
        path = folder / f"{module.__name__}.pt"
        if not path.exists():
            torch.jit.script(module()).save(str(path))
        return {"detector": str(path), "detector_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    return written


def metric(settings):
    return FVD(FVDConfig(**settings))


# --------------------------------------------------------------------------------------------------------- computation


@pytest.mark.parametrize("channels", [1, 3])
def test_the_detector_is_given_three_channels_first_of_0_to_255_not_rounded(detector, channels):
    frames = np.random.default_rng(0).random((3, 16, channels, 4, 5), dtype=np.float32)
    found = metric(detector(Input)).features(torch.from_numpy(frames))
    expected = np.repeat(frames, 3 // channels, axis=2).transpose(0, 2, 1, 3, 4) * 255
    np.testing.assert_allclose(found.numpy(), expected.reshape(3, -1), rtol=1e-6)


def test_features_in_pieces_equal_those_of_the_whole(detector, monkeypatch):
    frames = torch.rand(5, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = metric(detector(Moments)).features(frames)
    monkeypatch.setattr("vpbench_metrics.fvd._STRETCHES_AT_ONCE", 2)
    torch.testing.assert_close(metric(detector(Moments)).features(frames), whole)


def test_distance_is_that_of_gaussians_with_sample_covariances():
    rng = np.random.default_rng(0)
    p, t = rng.standard_normal((40, 5)) * [1, 2, 3, 4, 5] + 1, rng.standard_normal((40, 5))
    c1, c2 = np.cov(p, rowvar=False), np.cov(t, rowvar=False)
    expected = np.sum((p.mean(0) - t.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * np.real(sqrtm(c1 @ c2)))
    assert FVD().distance(p, t) == pytest.approx(expected, rel=1e-10)


def test_no_distance_with_no_more_stretches_than_features():
    vectors = np.random.default_rng(0).standard_normal((6, 5))
    assert math.isnan(FVD().distance(vectors[:5], vectors[:5]))
    assert FVD().distance(vectors, vectors) == pytest.approx(0, abs=1e-12)


def test_fewer_stretches_give_more_so_only_equal_numbers_compare():
    """Two sets of one distribution: 20, 100 and 500 vectors of 10 numbers, mean of 20 draws each."""
    rng = np.random.default_rng(0)
    means = [
        np.mean([FVD().distance(rng.standard_normal((n, 10)), rng.standard_normal((n, 10))) for _ in range(20)])
        for n in (20, 100, 500)
    ]
    assert means[0] > 3 * means[1] > 9 * means[2] > 0


@pytest.mark.parametrize("shape", [(2, 16, 2, 8, 8), (16, 1, 8, 8)], ids=str)
def test_frames_of_another_shape_are_refused(detector, shape):
    with pytest.raises(ValueError, match="1 or 3 channels"):
        metric(detector(Moments)).features(torch.zeros(shape))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_features_equal_those_of_the_cpu_and_stay_there(detector):
    frames = torch.rand(5, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = metric(detector(Moments)).features(frames.cuda())
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), metric(detector(Moments)).features(frames), rtol=1e-5, atol=1e-6)


# --------------------------------------------------------------------------------------------------------------- files


def test_without_a_file_it_says_exactly_what_to_give(detector):
    needs = "needs the I3D detector i3d_torchscript.pt: "
    assert FVD().why_not() == f"{needs}--set fvd.detector=FILE --set fvd.detector_sha256=SHA256"
    assert metric({"detector": "i3d.pt"}).why_not() == f"{needs}--set fvd.detector_sha256=SHA256"
    assert metric(detector(Moments)).why_not() == ""
    with pytest.raises(WeightsError, match="fvd needs the I3D detector"):
        FVD().features(torch.zeros(1, 16, 1, 8, 8))


def test_another_file_is_refused_before_it_is_read(detector, tmp_path):
    settings = {**detector(Moments), "detector_sha256": "0" * 64}
    with pytest.raises(WeightsError, match=r"fvd.detector: .*Moments.pt has sha256 [0-9a-f]{64}, not 0{64}"):
        metric(settings).why_not()
    with pytest.raises(WeightsError, match=r"fvd.detector: cannot read .*none.pt: No such file"):
        metric({"detector": str(tmp_path / "none.pt"), "detector_sha256": "0" * 64}).why_not()


@pytest.mark.parametrize("content", [b"", b"not a script", b"PK\x03\x04 and no more"])
def test_what_is_no_script_is_one_line(tmp_path, content):
    path = tmp_path / "i3d.pt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"fvd.detector: .*i3d.pt is no TorchScript file") as raised:
        metric({"detector": str(path), "detector_sha256": hashlib.sha256(content).hexdigest()}).why_not()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (
            AnotherInterface,
            r"AnotherInterface.pt failed on \(2, 3, 16, 8, 8\) .*it is called as detector\(x, rescale=True",
        ),
        (OneRow, r"OneRow.pt gave \(1, 2\) for 2 stretches, not a row each"),
    ],
)
def test_a_script_of_another_kind_is_one_line(detector, module, said):
    with pytest.raises(WeightsError, match=said) as raised:
        metric(detector(module)).features(torch.zeros(2, 16, 1, 8, 8))
    assert "\n" not in str(raised.value)


def test_what_is_no_sha256_is_refused_as_a_setting():
    with pytest.raises(ValueError, match="64 lower case hex digits"):
        FVDConfig(detector_sha256="abc")


def test_definition_says_what_a_value_depends_on_and_it_is_off_by_default(kit):
    spec = kit.all_specs["fvd"]
    assert not spec.default
    assert spec.window == 16
    for said in ("compare at equal numbers only", "NaN with no more stretches than features", "context left out"):
        assert said in spec.definition


# ---------------------------------------------------------------------------------------------------------- front door


def run(tmp_path, settings, *, horizon=33, clips=3):
    pytest.importorskip("vpbench_movingmnist")
    pytest.importorskip("vpbench_baselines")
    from vpbench.cli import main

    arguments = ["run", "--model", "copy-last", "--dataset", "moving-mnist", "--horizon", horizon, "--clips", clips]
    arguments += ["--metric", "fvd", "--metric", "mse", "--device", "cpu", "--results", tmp_path / "runs"]
    arguments += [part for key, value in settings.items() for part in ("--set", f"fvd.{key}={value}")]
    ran = CliRunner().invoke(main, [str(argument) for argument in arguments])
    paths = (tmp_path / "runs").glob("*/copy-last/*.json")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return ran, {record["identity"]["task"]["horizon"]: record for record in records}


def reference(horizon, clips):
    """FVD of the last context frame repeated, from frames of the dataset, by the textbook formula."""
    from vpbench import registry

    spec = registry.load().dataset("moving-mnist").spec
    dataset = spec.load()(spec.load_config()())
    ids = list(dataset.ids("test", n_frames=10 + horizon))[:clips]
    frames = torch.as_tensor(dataset.clips("test", ids, np.tile(np.arange(10.0 + horizon), (clips, 1))).frames)
    frames = frames.float() / 255 if frames.dtype == torch.uint8 else frames
    stretches = [frames[:, start : start + 16] for start in range(10, 10 + horizon - 15, 16)]
    true = torch.cat(stretches)
    copied = torch.cat([frames[:, 9:10].expand_as(each) for each in stretches])
    p, t = (
        Moments()(each.transpose(1, 2).repeat(1, 3, 1, 1, 1) * 255, True, True, True).double().numpy()
        for each in (copied, true)
    )
    c1, c2 = np.cov(p, rowvar=False), np.cov(t, rowvar=False)  # singular: what is copied does not move
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).real.clip(min=0))
    return np.sum((p.mean(0) - t.mean(0)) ** 2) + np.trace(c1 + c2) - 2 * roots.sum()


def test_a_run_takes_every_whole_stretch_of_every_clip_once(tmp_path, detector):
    ran, records = run(tmp_path, detector(Moments))
    assert ran.exit_code == 0, ran.output
    found = records[33]["scores"]["fvd"]
    assert found["value"] == pytest.approx(reference(33, clips=3), rel=1e-4)
    assert found["config"] == {"detector_sha256": detector(Moments)["detector_sha256"]}
    assert records[20]["scores"]["fvd"]["value"] is None  # 3 stretches of 3 features
    assert records[10]["about"]["not_computed"]["fvd"] == "needs 16 steps, the horizon is 10"


def test_a_run_without_a_detector_says_why_it_is_not_computed(tmp_path):
    ran, records = run(tmp_path, {}, horizon=16)
    assert ran.exit_code == 0, ran.output
    assert "fvd is not computed on moving-mnist: needs the I3D detector" in ran.output
    assert "--set fvd.detector=FILE" in records[16]["about"]["not_computed"]["fvd"]
    assert list(records[16]["scores"]) == ["mse"]
