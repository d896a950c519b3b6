"""The bundled digit network: what it is, what it was trained on, and what it can read."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from vpbench_movingmnist import digit_network, digits
from vpbench_movingmnist.dataset import MovingMNIST
from vpbench_movingmnist.digit_network import DigitNetwork, provenance, trained_network

from vpbench.errors import WeightsError

SCRIPT = Path(__file__).parent.parent / "training" / "train_digit_classifier.py"
CPU = torch.device("cpu")

#: Scores that the bundled network gives digit 55000, a 1.
GOLDEN = [-1.2273, 3.9027, -1.1423, -1.0769, -1.4021, -1.1878, -1.4017, -1.4728, -1.0603, -1.0759]


def tiles(numbers: range) -> torch.Tensor:
    return torch.from_numpy(digits.images()[numbers.start : numbers.stop] / np.float32(255))[:, None].float()


def test_it_reads_val_digits_it_was_not_trained_on() -> None:
    numbers = digits.POOLS["val"][:1000]
    read = trained_network(CPU)(tiles(numbers)).argmax(1).numpy()
    assert (read == digits.labels()[numbers.start : numbers.stop]).mean() >= 0.985


def test_its_scores_are_those_it_was_shipped_with() -> None:
    scores = trained_network(CPU)(tiles(digits.POOLS["val"][:1]))[0]
    assert int(scores.argmax()) == digits.labels()[55_000]
    np.testing.assert_allclose(scores, GOLDEN, atol=2e-4)


def test_features_are_convolutions_relu_and_maxima_as_documented() -> None:
    network = trained_network(CPU)
    image = tiles(range(60_000, 60_001))[:, :, 4:20, 6:22]  # 16×16
    features = network.features(image)
    assert [tuple(each.shape[1:]) for each in features] == [
        (16, 16, 16),
        (32, 8, 8),
        (64, 4, 4),
        (64, 2, 2),
        (64, 2, 2),
    ]
    x = image[0].double().numpy()
    for number, (convolution, found) in enumerate(zip(network.convolutions, features, strict=True)):
        weight, bias = convolution.weight.double().numpy(), convolution.bias.double().numpy()
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        x = np.stack([correlate(padded, kernel, mode="valid")[0] for kernel in weight]) + bias[:, None, None]
        x = np.maximum(x, 0)
        np.testing.assert_allclose(found[0], x, atol=1e-5)
        if number < 3:
            x = np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]).max(0)


def test_scores_of_a_tile_do_not_depend_on_the_others() -> None:
    network = trained_network(CPU)
    many = network(tiles(range(60_000, 60_020)))
    np.testing.assert_allclose(network(tiles(range(60_007, 60_008)))[0], many[7], atol=1e-5)


def test_features_are_as_long_in_all_layers() -> None:
    for features in trained_network(CPU).features(tiles(digits.POOLS["val"][:300])):
        assert float(features.square().sum(1).mean().sqrt()) == pytest.approx(1, abs=0.1)


def test_the_file_says_how_it_was_made() -> None:
    made = provenance()
    assert (made["dataset"], made["split"]) == ("moving-mnist", "train")
    assert range(*made["digits"]) == digits.POOLS["train"]
    assert made["fingerprint"] == MovingMNIST().fingerprint("train")
    assert made["images_sha256"] == digits.IMAGES_SHA256
    assert made["parameters"] == sum(p.numel() for p in DigitNetwork().parameters()) < 110_000
    assert made["updates"] > 0
    assert set(made["accuracy"]) == {"val_digits", "val_tiles", "test_digits", "test_tiles"}
    file = resources.files("vpbench_movingmnist") / "data" / digit_network.FILE
    assert len(file.read_bytes()) <= 600_000
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digit_network.SHA256


def test_a_damaged_file_is_a_weights_error_that_says_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digit_network, "SHA256", "0" * 64)
    trained_network.cache_clear()
    with pytest.raises(WeightsError, match=r"digit-classifier\.safetensors .* is damaged .*reinstall the package"):
        trained_network(CPU)
    with pytest.raises(WeightsError, match="damaged"):
        provenance()


def test_a_missing_file_is_a_weights_error_that_says_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digit_network, "FILE", "nothing.safetensors")
    trained_network.cache_clear()
    with pytest.raises(WeightsError, match=r"nothing\.safetensors .* cannot be read .*reinstall the package"):
        trained_network(CPU)


@pytest.fixture(scope="module")
def training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_digit_classifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def short(training: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Training for a few updates, on one thread as in `main`."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(training, "WARM_UP", 4)
    monkeypatch.setattr(training, "BATCH", 64)
    yield training
    torch.set_num_threads(before)


def test_training_is_a_function_of_its_seed(short: ModuleType) -> None:
    one, other, another = (short.train(3, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, one[name]) for name, value in other.items())
    assert not any(torch.equal(value, one[name]) for name, value in another.items())


def test_training_learns_and_the_scaling_of_layers_changes_no_score(short: ModuleType) -> None:
    network = short.train(60, 0)
    some, classes = short.tiles_of(digits.POOLS["val"], 400, torch.Generator().manual_seed(0))
    scores = network(some)
    assert torch.nn.functional.cross_entropy(scores, classes) < np.log(10) - 0.2  # well below saying nothing
    short.calibrate(network)
    torch.testing.assert_close(network(some), scores, rtol=1e-4, atol=1e-4)
    for features in network.features(short.plain(digits.POOLS["train"][:1000])):
        assert float(features.square().sum(1).mean().sqrt()) == pytest.approx(1, abs=0.1)


def test_training_tiles_are_of_the_pool_in_range_and_mostly_readable(training: ModuleType) -> None:
    some, classes = training.tiles_of(digits.POOLS["val"], 400, torch.Generator().manual_seed(1))
    assert some.shape == (400, 1, 28, 28)
    assert float(some.min()) == 0
    assert float(some.max()) <= 1
    assert (trained_network(CPU)(some).argmax(1) == classes).double().mean() > 0.9
