"""The -small models on an accelerator: what a CPU predicts, bfloat16 in training, and no wait for the device."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from vpbench import Context, TrainBatch, registry
from vpbench.device import full_float32, precision
from vpbench.instances import configured, make_model

INSTALLED = registry.load()
SMALL = sorted(name for name in INSTALLED.models() if name.endswith("-small"))
NEVER_WAITING = [name for name in SMALL if name != "latentode-small"]  # which copies the times asked for to the device
SHAPE, GIVEN, AHEAD = (1, 32, 32), 5, 7
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def build(name: str, device: str = "cpu") -> Any:
    provided = INSTALLED.model(name)
    torch.manual_seed(0)
    with torch.device("meta" if device == "meta" else "cpu"):
        model = make_model(provided.spec, configured(provided, {}), frame_shape=SHAPE, context_length=GIVEN)
    return model.to(device)


def batch(device: str) -> TrainBatch:
    frames = torch.rand(2, GIVEN + AHEAD, *SHAPE, generator=torch.Generator().manual_seed(1)).to(device)
    times = torch.arange(GIVEN + AHEAD, dtype=torch.float64).expand(2, -1)
    context = Context(frames[:, :GIVEN], times[:, :GIVEN], torch.zeros(2, dtype=torch.int64))
    return TrainBatch(context, times[:, GIVEN:], frames[:, GIVEN:])


def learn(model: nn.Module, device: str, updates: int = 2) -> list[Tensor]:
    """Losses of a few updates in bfloat16, of a schedule half gone, so that predictions are fed back."""
    model.train()
    losses = []
    optimisers = model.optimisers()
    for update in range(updates):
        for part, optimiser in optimisers.items():
            optimiser.zero_grad()
            with precision(torch.device(device), "bfloat16"):
                loss = model.loss(batch(device), progress=0.5 + 0.1 * update, part=part)["loss"]
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
    return losses


# ------------------------------------------------------------------------------------------------------- without a GPU


class NoWaits(TorchDispatchMode):
    """Raises where a program would wait for the device: numbers are read off it, or copied to or from it in turn.

    The meta device stands for one: its tensors have no numbers.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name == "_local_scalar_dense" and args[0].is_meta:
            raise AssertionError("a number is read off the device")
        if name == "_to_copy" and not kwargs.get("non_blocking"):
            wanted = torch.device(kwargs.get("device") or args[0].device)
            if (wanted.type == "meta") != args[0].is_meta:
                raise AssertionError(f"{tuple(args[0].shape)} is copied to or from the device, and waited for")
        if name == "copy_" and args[0].is_meta != args[1].is_meta and not (len(args) > 2 and args[2]):
            raise AssertionError(f"{tuple(args[1].shape)} is copied to or from the device, and waited for")
        return func(*args, **kwargs)


@pytest.mark.parametrize("wait", [lambda x: float(x.sum()), lambda x: torch.ones(3).to("meta") + x, lambda x: x.cpu()])
def test_what_looks_for_waits_finds_them(wait: Any) -> None:
    x = torch.ones(3, device="meta")
    with NoWaits():
        torch.ones(3).to("meta", non_blocking=True)
        with pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
            wait(x)


@pytest.mark.parametrize("name", NEVER_WAITING)
def test_neither_prediction_nor_loss_waits_for_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # the meta device has none
    model, given = build(name, "meta"), batch("meta")
    with NoWaits():
        with torch.inference_mode():
            assert model.eval().predict(given.context, given.target_times).shape == (2, AHEAD, *SHAPE)
        model.train().loss(given, progress=0.5)["loss"].backward()


# ---------------------------------------------------------------------------------------------------------- with a GPU


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("name", SMALL)
def test_a_gpu_predicts_what_a_cpu_does(name: str) -> None:
    model = build(name).eval()
    found = {}
    for device in ("cpu", "cuda"):
        given = batch(device)
        with torch.inference_mode(), full_float32():
            found[device] = model.to(device).predict(given.context, given.target_times)
    assert found["cuda"].is_cuda
    torch.testing.assert_close(found["cuda"].cpu(), found["cpu"], rtol=0, atol=1e-3)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("name", SMALL)
def test_it_learns_on_a_gpu_in_bfloat16(name: str) -> None:
    model = build(name, "cuda")
    before = [each.detach().clone() for each in model.parameters()]
    losses = learn(model, "cuda")
    assert all(loss.dtype == torch.float32 and bool(loss.isfinite()) for loss in losses)
    assert all(bool(each.isfinite().all()) for each in model.parameters())
    assert any(bool((old != new).any()) for old, new in zip(before, model.parameters(), strict=True))


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("name", NEVER_WAITING)
def test_a_roll_out_never_waits_for_the_gpu(name: str) -> None:
    model, given = build(name, "cuda").eval(), batch("cuda")
    with torch.inference_mode():
        model.predict(given.context, given.target_times)  # libraries load
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            model.predict(given.context, given.target_times)
        finally:
            torch.cuda.set_sync_debug_mode("default")
