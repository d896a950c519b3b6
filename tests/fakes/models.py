"""Models given as a file: `models.py:Class`. Each does one thing, mostly a wrong one."""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

import vpbench
from vpbench.errors import ModelFailed


def log(**what):
    """A line in the file that VPBENCH_TEST_LOG names, for the test to read."""
    with open(os.environ["VPBENCH_TEST_LOG"], "a") as file:
        file.write(json.dumps(what) + "\n")


def last(context, target_times):
    return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)


class Last:
    """Repeat the last frame."""

    spec = vpbench.ModelSpec(
        name="last", factory="m:M", summary="Repeat the last frame", version="1", prefix_stable=True
    )

    def __init__(self, config, *, frame_shape, context_length):
        pass

    def predict(self, context, target_times):
        return last(context, target_times)


class Other(Last):
    """Any other contender."""

    spec = vpbench.ModelSpec(name="other", factory="m:M", summary="Half as bright", version="1", prefix_stable=True)

    def predict(self, context, target_times):
        return last(context, target_times) / 2


class Counting(Last):
    """Writes down what it is asked for; each step depends on its time."""

    spec = vpbench.ModelSpec(name="counting", factory="m:M", summary="Counts", version="1", prefix_stable=True)

    def predict(self, context, target_times):
        log(clips=len(target_times), steps=target_times.shape[1])
        fading = (0.9 ** (target_times - context.times[:, -1:])).float()
        return last(context, target_times) * fading[:, :, None, None, None]

    def stats(self):
        return {"nfe": 12, "frames_per_s": 1e9, "strange": float("nan")}


class CountingUnstable(Counting):
    """The same, but a longer horizon may change the frames before."""

    spec = vpbench.ModelSpec(name="unstable", factory="m:M", summary="Counts", version="1", prefix_stable=False)


class Random(Last):
    """Random frames, drawn from the clips' seeds as the contract says."""

    spec = vpbench.ModelSpec(
        name="random",
        factory="m:M",
        summary="Random",
        version="1",
        capabilities=frozenset({"samples"}),
        prefix_stable=True,
    )

    def predict(self, context, target_times):
        drawn = [
            torch.rand(context.frames.shape[2:], generator=torch.Generator().manual_seed(int(seed)))
            for seed in context.seeds
        ]
        return torch.stack(drawn)[:, None].repeat(1, target_times.shape[1], 1, 1, 1)


class Spy(Last):
    """Looks for the targets in all it is given, and writes down what memory it could reach."""

    spec = vpbench.ModelSpec(
        name="spy", factory="m:M", summary="Looks for the targets", version="1", prefix_stable=True
    )

    def predict(self, context, target_times):
        reachable = {}
        for name in ("frames", "times", "seeds"):
            tensor = getattr(context, name)
            base = tensor if tensor._base is None else tensor._base
            reachable[name] = max(base.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())
            reachable[f"{name} told"] = tensor.numel()
        log(**reachable)
        return last(context, target_times)


class Vandal(Last):
    """Writes over everything it is given, and goes on writing over what it returned."""

    spec = vpbench.ModelSpec(
        name="vandal", factory="m:M", summary="Changes its inputs", version="1", prefix_stable=True
    )

    def __init__(self, config, **_):
        self.returned = None

    def predict(self, context, target_times):
        answer = last(context, target_times)
        if self.returned is not None:
            self.returned.fill_(0.5)
        self.returned = answer
        for tensor in (context.frames, context.times, context.seeds, target_times):
            tensor.fill_(1)
        return answer


class Honest(Last):
    """What the vandal predicts, without the damage."""

    spec = vpbench.ModelSpec(
        name="honest", factory="m:M", summary="Leaves its inputs alone", version="1", prefix_stable=True
    )


class Unnormal(Last):
    """Out of range by far in one pixel of each frame."""

    spec = vpbench.ModelSpec(name="unnormal", factory="m:M", summary="Out of range", version="1", prefix_stable=True)

    def predict(self, context, target_times):
        predicted = last(context, target_times).clone()
        predicted[..., 0, 0], predicted[..., 0, 1] = 7.0, -3.0
        return predicted


@dataclass(frozen=True)
class FaultyConfig:
    fault: str = "none"
    step: int = 1  #: of NaN and Inf, from 1


class Faulty(nn.Module):
    """Wrong in the way that --set fault=... names."""

    spec = vpbench.ModelSpec(
        name="faulty", factory="m:M", summary="Wrong in many ways", version="1", prefix_stable=True
    )
    Config = FaultyConfig

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.fault, self.step = config.fault, config.step
        if self.fault == "init":
            raise TypeError("missing 1 required argument\nand more")
        if self.fault == "init-exit":
            sys.exit("usage: train.py")

    def predict(self, context, target_times):
        good = last(context, target_times)
        match self.fault:
            case "nan" | "inf":
                if target_times.shape[1] >= self.step:
                    good[:, self.step - 1 :, :, 3, 3] = float(self.fault)
                return good
            case "shape":
                return good[:, :, :, :-1]
            case "steps":
                return torch.cat([good, good], dim=1)
            case "integers":
                return (good * 255).to(torch.uint8)
            case "numpy":
                return good.numpy()
            case "none":
                return None
            case "raises":
                raise ValueError("first line\nsecond line")
            case "silent":
                raise RuntimeError
            case "exit":
                sys.exit(0)
            case "recursion":
                return self.predict(context, target_times)
            case "torch":
                return good @ torch.zeros(7, 7)
            case "memory":
                raise MemoryError
            case "says-so":
                raise ModelFailed("step size underflow at t=1.3")
            case "base-exception":
                raise asyncio_cancelled()
            case "stats":
                self.stats = lambda: {"nfe": "many"}
                return good
        return good


def asyncio_cancelled():
    import asyncio

    return asyncio.CancelledError("cancelled")


class Slow(Last):
    """With three clips and horizons beyond 1: says when it starts, then waits for the file `open` beside the log."""

    spec = vpbench.ModelSpec(name="slow", factory="m:M", summary="Slow", version="1", prefix_stable=False)

    def predict(self, context, target_times):
        if target_times.shape[1] > 1 and len(target_times) == 3:
            log(started=os.getpid())
            gate = Path(os.environ["VPBENCH_TEST_LOG"]).with_name("open")
            deadline = time.monotonic() + 60
            while not gate.exists() and time.monotonic() < deadline:
                time.sleep(0.02)
        return last(context, target_times)


class Wrapped:
    """A plain class around a torch module that depends on its batch in train mode, as research code often is."""

    spec = vpbench.ModelSpec(
        name="wrapped", factory="m:M", summary="Batch norm inside", version="1", prefix_stable=True
    )

    def __init__(self, config, *, frame_shape, context_length):
        self.net = nn.BatchNorm2d(frame_shape[0])

    def predict(self, context, target_times):
        frames = self.net(context.frames[:, -1]) * 0.5
        return frames[:, None].expand(-1, target_times.shape[1], -1, -1, -1)


class WrappedDeep(Last):
    """As Wrapped, the module in a dict in a list."""

    spec = vpbench.ModelSpec(
        name="wrapped-deep", factory="m:M", summary="Batch norm deep inside", version="1", prefix_stable=True
    )

    def __init__(self, config, *, frame_shape, context_length):
        self.parts = [{"net": nn.BatchNorm2d(frame_shape[0])}]

    def predict(self, context, target_times):
        frames = self.parts[0]["net"](context.frames[:, -1]) * 0.5
        return frames[:, None].expand(-1, target_times.shape[1], -1, -1, -1)


class Fitted(Last):
    """Learns the mean frame; writes down how many clips it was given."""

    spec = vpbench.ModelSpec(
        name="fitted", factory="m:M", summary="Mean frame", version="1", learns="statistics", prefix_stable=True
    )

    def fit(self, clips):
        batches = [each.frames for each in clips]
        log(fitted=sum(map(len, batches)))
        self.mean = torch.from_numpy(np.concatenate(batches).mean(axis=(0, 1)) / 255).float()

    def predict(self, context, target_times):
        return self.mean.expand(*target_times.shape, *self.mean.shape)


@dataclass(frozen=True)
class TinyConfig:
    width: int = 4


class Tiny(nn.Module):
    """A model with weights: one that scales the last frame."""

    Config = TinyConfig

    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(config.width))

    def predict(self, context, target_times):
        return last(context, target_times) * self.scale.sigmoid().mean()

    def loss(self, batch, *, progress, part="main"):
        predicted = self.predict(batch.context, batch.target_times)
        return {"loss": (predicted - batch.target).square().mean()}


class Recounting(Last):
    """Writes down what it is told of the first clip of a batch."""

    spec = vpbench.ModelSpec(
        name="recounting",
        factory="m:M",
        summary="Recounts",
        version="1",
        prefix_stable=True,
        capabilities=frozenset({"irregular-context", "fractional"}),
    )

    def predict(self, context, target_times):
        log(
            levels=(context.frames[0, :, 0, 0, 0] * 255).round(decimals=3).tolist(),
            times=context.times[0].tolist(),
            asked=target_times[0].tolist(),
            observed=None if context.observed is None else context.observed[0].tolist(),
        )
        return last(context, target_times)


class TellsTimes(Tiny):
    """Writes down the times it is trained on."""

    capabilities = frozenset({"irregular-context", "fractional"})

    def loss(self, batch, *, progress, part="main"):
        log(training=self.training, times=batch.context.times[0].tolist(), asked=batch.target_times[0].tolist())
        return super().loss(batch, progress=progress, part=part)

    def sampling(self, progress):
        return vpbench.TrainTask(context=3, first=-1, targets=2)


class Moody(Last):
    """Answers otherwise every time it is asked."""

    spec = vpbench.ModelSpec(name="moody", factory="m:M", summary="Moody", version="1", prefix_stable=True)

    def __init__(self, config, *, frame_shape, context_length):
        self.asked = 0

    def predict(self, context, target_times):
        self.asked += 1
        return last(context, target_times) / self.asked
