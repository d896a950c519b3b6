"""The trainer: one loop for every trainable model, with exact resume.

Everything an update does is a function of (run, update): its clips, its target times and its random numbers are drawn
from seeds made of both. So a checkpoint needs only tensors and a counter, and a run that is killed and resumed goes on
bit for bit as if nothing had happened (on a CPU with the same number of threads).
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import pickle
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import device as devices
from . import weights as weight_files
from .batches import prefetched, read_batch, stream
from .config import config_to_dict
from .errors import ModelFailed, PluginError, Refused, UsageError, WeightsError
from .progress import Progress, seconds
from .protocols import Dataset, Trainable, TrainBatch, TrainTask
from .registry import Provided
from .storage import holding
from .specs import DatasetSpec, ModelSpec
from .storage import write_atomically

EMA_DECAY = 0.999
CLIP_NORM = 1.0
WARM_UP_SHARE, WARM_UP_MAX = 0.05, 1000  # updates over which the learning rate rises
FINAL_RATE = 0.01  # of the base learning rate, where the cosine ends
VALIDATIONS, VALIDATION_MIN_UPDATES = 20, 100  # over a whole run, but not more often than this
VALIDATION_CLIPS = 64
CHECKPOINT_INTERVAL_S = 60.0
CALIBRATION_S, CALIBRATION_WARM_UP, CALIBRATION_MIN = 10.0, 3, 5
HALF_TOLERANCE = 1e-3  # relative change of the validation MSE that float16 weights may cost
ENDLESS = 1 << 24  # a split with more clips than this is generated: it is walked through, not shuffled
CHECKPOINT_VERSION = 1


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of updates, or seconds that a calibration turns into one."""

    updates: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """`20m`, `1.5h`, `90s` or `5000updates` (also `5000u`)."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|u|updates?)", text.strip())
        if not match or float(match[1]) <= 0:
            raise UsageError(f"budget {text!r}: give a time like 20m or 1.5h, or a number like 5000updates")
        value, unit = float(match[1]), match[2]
        if unit in ("s", "m", "h"):
            return cls(seconds=value * {"s": 1, "m": 60, "h": 3600}[unit])
        if not value.is_integer():
            raise UsageError(f"budget {text!r}: a whole number of updates")
        return cls(updates=int(value))

    def __str__(self) -> str:
        return f"{self.updates}updates" if self.updates is not None else f"{self.seconds:g}s"


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """What is trained on what. The fields that decide the weights make up its identity."""

    model: Provided[ModelSpec]
    config: Any
    dataset: Provided[DatasetSpec]
    dataset_config: Any
    context: int
    horizon: int
    budget: Budget
    output: Path
    batch_size: int = 32
    seed: int = 0
    precision: str = "float32"
    device: torch.device = dataclasses.field(default_factory=lambda: torch.device("cpu"))

    def identity(self, fingerprint: str) -> dict[str, Any]:
        """What a checkpoint must agree with to be resumed."""
        return {
            "model": {
                "name": self.model.spec.name,
                "version": self.model.spec.version,
                "config": config_to_dict(self.config),
            },
            "dataset": {
                "name": self.dataset.spec.name,
                "version": self.dataset.spec.version,
                "config": config_to_dict(self.dataset_config),
                "fingerprint": fingerprint,
            },
            "context": self.context,
            "horizon": self.horizon,
            "budget": str(self.budget),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "precision": self.precision,
        }

    @property
    def checkpoint(self) -> Path:
        return self.output.with_name(self.output.name + ".checkpoint")


# ---------------------------------------------------------------------------------------------------- what is drawn


class ClipOrder:
    """Which clips update k sees: a new shuffle each epoch, or a walk through an endless split."""

    def __init__(self, ids: Sequence[int], batch_size: int, seed: int) -> None:
        self.ids, self.batch_size, self.seed = ids, batch_size, seed
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, update: int) -> list[int]:
        n = len(self.ids)
        first = update * self.batch_size
        if n > ENDLESS:
            # Generated clips are independent, so their order is as good as any; seeds walk through different stretches.
            start = (self.seed * ENDLESS) % n
            return [self.ids[(start + first + j) % n] for j in range(self.batch_size)]
        return [self.ids[self._shuffled(k // n, k % n)] for k in range(first, first + self.batch_size)]

    def _shuffled(self, epoch: int, place: int) -> int:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(stream("epoch", self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(len(self.ids), generator=generator)
        return int(self._order[place])


def draw_steps(task: TrainTask, horizon: int, batch: int, generator: torch.Generator) -> Tensor:
    """Target steps, int64 (batch, targets), increasing, drawn per clip as the task says; step 1 follows the context."""
    steps = torch.arange(task.first, horizon + 1)
    if task.targets is None or task.targets >= len(steps):
        return steps.expand(batch, -1)
    # The largest of log-weight + Gumbel noise are a draw without replacement in proportion to the weights.
    log_weight = -task.emphasis * steps.abs().clamp(min=1).double().log()
    uniform = torch.rand(batch, len(steps), generator=generator, dtype=torch.float64).clamp_(min=1e-12)
    keys = log_weight - torch.log(-torch.log(uniform))
    chosen = keys.topk(task.targets, dim=1).indices
    return steps[chosen].sort(dim=1).values


# -------------------------------------------------------------------------------------------------------- the loop


class Trainer:
    """State of one training run: model, its moving average, optimisers, and how far it has come."""

    def __init__(self, run: TrainingRun, *, quiet: bool = False) -> None:
        self.run, self.quiet = run, quiet
        self.dataset: Dataset = run.dataset.spec.load()(run.dataset_config)
        info = self.dataset.info
        self._refuse_impossible(info.max_length)
        self.frame_shape = info.frame_shape
        self.fingerprint = self.dataset.fingerprint("train")
        self.order = ClipOrder(self.dataset.ids("train", n_frames=run.context + run.horizon), run.batch_size, run.seed)
        if not len(self.order.ids):
            raise Refused(f"{run.dataset.spec.name} has no training clip of {run.context + run.horizon} frames")
        self.total: int | None = run.budget.updates
        self._build()

    def _refuse_impossible(self, max_length: int | None) -> None:
        run, spec = self.run, self.run.model.spec
        needed = run.context + run.horizon
        if spec.learns != "weights":
            raise Refused(f"{spec.name} learns {spec.learns}: there is nothing to train, run it as it is")
        if max_length is not None and needed > max_length:
            raise Refused(
                f"context {run.context} + horizon {run.horizon} needs {needed} frames, "
                f"{run.dataset.spec.name} has {max_length}"
            )

    def _build(self) -> None:
        """Model and optimisers as they are before the first update."""
        run = self.run
        torch.manual_seed(stream("init", run.seed))
        model = run.model.spec.load()(run.config, frame_shape=self.frame_shape, context_length=run.context)
        if not isinstance(model, nn.Module) or not isinstance(model, Trainable):
            raise PluginError(
                f"{run.model.source}: {run.model.spec.name} learns weights, so it must be a torch Module with loss()"
            )
        self.model = model.to(run.device).train()
        # Kept apart from the model: the average is what is validated and written, never what is trained.
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        optimisers = getattr(model, "optimisers", None)
        self.optimisers: dict[str, torch.optim.Optimizer] = dict(
            optimisers() if optimisers else {"main": torch.optim.AdamW(model.parameters(), 3e-4)}
        )
        self.base_rates = {
            part: [group["lr"] for group in optimiser.param_groups] for part, optimiser in self.optimisers.items()
        }
        self.update = 0
        self.spent_s = 0.0
        self.history: list[dict[str, float]] = []

    # ------------------------------------------------------------------------------------------------- one update

    def task_at(self, update: int) -> TrainTask:
        sampling = getattr(self.model, "sampling", None)
        return sampling(self.progress_at(update)) if sampling else TrainTask(context=self.run.context)

    def progress_at(self, update: int) -> float:
        return update / self.total if self.total else 0.0

    def batch_at(self, update: int) -> TrainBatch:
        """The batch of an update, whenever and wherever it is asked for."""
        run, task = self.run, self.task_at(update)
        horizon = min(task.horizon or run.horizon, run.horizon)
        generator = torch.Generator().manual_seed(stream("steps", run.seed, update))
        steps = draw_steps(task, horizon, run.batch_size, generator)
        batch = read_batch(self.dataset, "train", self.order[update], task.context, steps, run.device, run.seed)
        return TrainBatch(context=batch.context, target_times=batch.target_times, target=batch.target)

    def do_update(self, batch: TrainBatch) -> float:
        """One optimiser step per part. Returns the loss of the first part, checked to be a finite scalar."""
        run, progress = self.run, self.progress_at(self.update)
        torch.manual_seed(stream("update", run.seed, self.update))
        first = math.nan
        for i, (part, optimiser) in enumerate(self.optimisers.items()):
            self._set_rate(part, optimiser)
            optimiser.zero_grad(set_to_none=True)
            with devices.precision(run.device, run.precision):
                losses = self.model.loss(batch, progress=progress, part=part)
            loss = self._checked(losses)
            loss.backward()
            parameters = [p for group in optimiser.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            optimiser.step()
            if i == 0:
                first = loss.item()
        if not math.isfinite(first):
            raise ModelFailed(f"the loss is {first} at update {self.update}: lower the learning rate")
        self.update += 1
        self._average()
        return first

    def _checked(self, losses: Mapping[str, Tensor]) -> Tensor:
        name = self.run.model.spec.name
        if not isinstance(losses, Mapping) or "loss" not in losses:
            raise PluginError(
                f"{self.run.model.source}: loss() of {name} must return a mapping with 'loss', got {losses!r:.80}"
            )
        loss = losses["loss"]
        if not isinstance(loss, Tensor) or loss.ndim != 0:
            shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise PluginError(f"{self.run.model.source}: 'loss' of {name} must be a scalar tensor, got {shape}")
        if not loss.requires_grad:
            raise PluginError(f"{self.run.model.source}: 'loss' of {name} does not depend on its parameters")
        return loss

    def _set_rate(self, part: str, optimiser: torch.optim.Optimizer) -> None:
        """Linear warm-up, then a cosine down to a hundredth of the base rate."""
        total = self.total or 1
        warm_up = max(1, min(WARM_UP_MAX, round(WARM_UP_SHARE * total)))
        if self.update < warm_up:
            factor = (self.update + 1) / warm_up
        else:
            way = (self.update - warm_up) / max(1, total - warm_up)
            factor = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * way))
        for group, base in zip(optimiser.param_groups, self.base_rates[part], strict=True):
            group["lr"] = base * factor

    @torch.no_grad()
    def _average(self) -> None:
        # A young average must not remember the random start for a thousand updates.
        decay = min(EMA_DECAY, (1 + self.update) / (10 + self.update))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    # -------------------------------------------------------------------------------------------------- whole run

    def train(self) -> Path:
        """Train to the end of the budget, resuming a checkpoint of the same run, and write the weights."""
        run = self.run
        with holding(run.output.with_name(run.output.name + ".lock"), what=f"training of {run.output}"):
            self._resume()
            if self.total is None:
                self.total = self._calibrate()
            if self.update:
                self._say(f"resuming at update {self.update} of {self.total}, {seconds(self.spent_s)} in")
            with Progress(
                f"training {run.model.spec.name}", self.total, unit="updates", done=self.update, quiet=self.quiet
            ) as bar:
                self._loop(bar)
            path = self._write_weights()
            run.checkpoint.unlink(missing_ok=True)
        return path

    def _loop(self, bar: Progress) -> None:
        assert self.total is not None
        interval = max(VALIDATION_MIN_UPDATES, self.total // VALIDATIONS)
        smooth, start, saved = math.nan, time.monotonic() - self.spent_s, time.monotonic()
        try:
            # The next batch is read while this one is learnt from: it depends on nothing but its number.
            for batch in prefetched(self.batch_at, range(self.update, self.total)):
                loss = self.do_update(batch)
                smooth = loss if math.isnan(smooth) else smooth + 0.02 * (loss - smooth)
                self.spent_s = time.monotonic() - start
                bar.advance(1, f"loss {smooth:.5f}")
                if self.update % interval == 0 or self.update == self.total:
                    self._validate(smooth, bar)
                if time.monotonic() - saved > CHECKPOINT_INTERVAL_S:
                    self.save_checkpoint()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            self.save_checkpoint()
            raise
        self.save_checkpoint()

    def _calibrate(self) -> int:
        """Turn the seconds of the budget into updates, frozen from then on, by timing some that are then undone."""
        assert self.run.budget.seconds is not None
        self.total = None
        times: list[float] = []
        deadline = time.monotonic() + CALIBRATION_S
        while len(times) < CALIBRATION_WARM_UP + CALIBRATION_MIN or time.monotonic() < deadline:
            start = time.monotonic()
            self.do_update(self.batch_at(self.update))
            devices.synchronize(self.run.device)
            times.append(time.monotonic() - start)
        start = time.monotonic()
        self.validation_error(self.average)
        validating = VALIDATIONS * (time.monotonic() - start)
        pace = float(np.median(times[CALIBRATION_WARM_UP:]))
        total = max(1, round((self.run.budget.seconds - validating) / pace))
        self._build()
        self._say(f"{pace:.3f} s an update: {self.run.budget.seconds:g} s are {total} updates")
        return total

    # ------------------------------------------------------------------------------------------------- validation

    def validation_error(self, state: Mapping[str, Tensor]) -> np.ndarray:
        """Mean squared error per step, float64 (horizon,), of a state on the first clips of the val split."""
        run = self.run
        model = run.model.spec.load()(run.config, frame_shape=self.frame_shape, context_length=run.context).to(
            run.device
        )
        model.load_state_dict(state)
        model.eval()
        ids = list(self.dataset.ids("val", n_frames=run.context + run.horizon)[:VALIDATION_CLIPS])
        if not ids:
            raise Refused(f"{run.dataset.spec.name} has no validation clip of {run.context + run.horizon} frames")
        total = np.zeros(run.horizon)
        steps = torch.arange(1, run.horizon + 1)
        for first in range(0, len(ids), run.batch_size):
            part = ids[first : first + run.batch_size]
            wanted = steps.expand(len(part), -1)
            batch = read_batch(self.dataset, "val", part, run.context, wanted, run.device, run.seed)
            with torch.inference_mode(), devices.precision(run.device, run.precision):
                predicted = model.predict(batch.context, batch.target_times).float().clamp(0, 1)
            error = (predicted - batch.target).double().square().mean(dim=(2, 3, 4)).sum(dim=0)
            total += error.cpu().numpy()
        return total / len(ids)

    def _validate(self, loss: float, bar: Progress) -> None:
        error = self.validation_error(self.average)
        entry = {"update": self.update, "loss": round(loss, 7), "val_mse": float(f"{error.mean():.6g}")}
        near = error[:10].mean()
        self.history.append({**entry, "val_mse_first_10": float(f"{near:.6g}")})
        psnr = -10 * np.log10([near, error.mean(), error.max()])
        bar.say(
            f"update {self.update}/{self.total}  {seconds(self.spent_s)}  loss {loss:.5f}  val psnr-pooled "
            f"{psnr[0]:.2f} dB over steps 1-{min(10, len(error))}, {psnr[1]:.2f} dB over all {len(error)}, "
            f"{psnr[2]:.2f} dB at the worst"
        )

    # ------------------------------------------------------------------------------------------------ checkpoints

    def save_checkpoint(self) -> None:
        buffer = io.BytesIO()
        content = {
            "version": CHECKPOINT_VERSION,
            "identity": json.dumps(self.run.identity(self.fingerprint), sort_keys=True),
            "total": self.total,
            "update": self.update,
            "spent_s": self.spent_s,
            "history": self.history,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimisers": {part: optimiser.state_dict() for part, optimiser in self.optimisers.items()},
        }
        torch.save(content, buffer)
        write_atomically(self.run.checkpoint, buffer.getvalue())

    def _resume(self) -> None:
        path = self.run.checkpoint
        if not path.exists():
            return
        try:
            # weights_only: tensors and plain containers; a checkpoint cannot run code.
            content = torch.load(path, map_location=self.run.device, weights_only=True)
            version, identity = content["version"], json.loads(content["identity"])
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise WeightsError(
                f"checkpoint {path} is damaged ({_first_line(error)}): delete it to start anew"
            ) from error
        if version != CHECKPOINT_VERSION:
            raise WeightsError(
                f"checkpoint {path} has version {version}, this vpbench reads {CHECKPOINT_VERSION}: delete it"
            )
        own = self.run.identity(self.fingerprint)
        if identity != own:
            differing = ", ".join(key for key in own if identity.get(key) != own[key])
            raise UsageError(
                f"checkpoint {path} is of another run (different {differing}): "
                f"name another --output, or delete it to start anew"
            )
        self.total, self.update = content["total"], content["update"]
        self.spent_s, self.history = content["spent_s"], content["history"]
        self.model.load_state_dict(content["model"])
        self.average = content["average"]
        for part, optimiser in self.optimisers.items():
            optimiser.load_state_dict(content["optimisers"][part])

    # ----------------------------------------------------------------------------------------------------- export

    def _write_weights(self) -> Path:
        run = self.run
        exact = self.validation_error(self.average).mean()
        halved = {
            name: value.half().to(value.dtype) if value.is_floating_point() and value.ndim > 1 else value
            for name, value in self.average.items()
        }
        half = abs(self.validation_error(halved).mean() / exact - 1) < HALF_TOLERANCE
        header = {
            **run.identity(self.fingerprint),
            "frame_shape": list(self.frame_shape),
            "updates": self.update,
            "sequences": self.update * run.batch_size,
            "seconds": round(self.spent_s, 1),
            "device": devices.describe(run.device)["device_name"],
            "threads": torch.get_num_threads(),
            "stored_as": "float16" if half else "float32",
            "code_version": code_version(run.model),
            "history": self.history,
        }
        weight_files.save(run.output, self.average, header, half=half)
        return run.output

    def _say(self, line: str) -> None:
        if not self.quiet:
            with Progress("", None) as progress:
                progress.say(line)


def code_version(model: Provided[ModelSpec]) -> dict[str, str]:
    """Versions of what made the weights: the core, the plugin, torch."""
    from importlib.metadata import version

    return {
        "vpbench": version("vpbench"),
        model.distribution: model.version,
        "torch": torch.__version__,
    }


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
