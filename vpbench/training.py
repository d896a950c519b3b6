"""The trainer: one loop for every trainable model, with exact resume.

Everything an update does is a function of (run, update): its clips, its target times and its random numbers are drawn
from seeds made of both. So a checkpoint needs only tensors and counters, and a run that is killed and resumed goes on
bit for bit as if nothing had happened (on a CPU with the same number of threads). A model plays its part by keeping
what it changes in parameters, buffers and optimisers, and by drawing from the generators of torch, numpy or `random`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import io
import json
import math
import random
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import device as devices
from . import weights as weight_files
from .batches import Batch, in_parts, prefetched, read_batch, stream, told
from .checkpoints import CHECKPOINT_VERSION, damaged, difference, read_checkpoint
from .config import config_to_dict
from .contamination import joined, sources_of
from .errors import ModelFailed, PluginError, Refused, UsageError, WeightsError
from .instances import blaming, fingerprint_of, ids_of, make_model, open_dataset
from .interrupts import undisturbed
from .progress import Progress, seconds
from .protocols import Dataset, Trainable, TrainBatch, TrainTask
from .registry import Provided
from .sampling import ClipOrder, checked_task, draw_steps
from .software import code_version
from .specs import DatasetSpec, ModelSpec
from .storage import holding, write_atomically

EMA_DECAY = 0.999
CLIP_NORM = 1.0
WARM_UP_SHARE, WARM_UP_MAX = 0.05, 1000  # updates over which the learning rate rises
FINAL_RATE = 0.01  # of the base learning rate, where the cosine ends
VALIDATIONS, VALIDATION_MIN_UPDATES = 20, 100  # over a whole run, but not more often than this
VALIDATION_CLIPS = 64
REHEARSAL_CLIPS = 2  # predicted before the first update, so that a broken `predict` costs no training
CHECKPOINT_INTERVAL_S = 60.0  # beside the one after each validation
CALIBRATION_S, CALIBRATION_SHARE, CALIBRATION_WARM_UP, CALIBRATION_MIN = 10.0, 0.05, 3, 5
SECONDS_IN = {"s": 1, "m": 60, "h": 3600}
HALF_TOLERANCE = 1e-3  # relative change of the validation MSE that float16 weights may cost


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of updates or of sequences, or seconds that a calibration turns into updates."""

    updates: int | None = None
    seconds: float | None = None
    sequences: int | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """`20m`, `1.5h`, `90s`, `5000updates` (also `5000u`) or `48000sequences`."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|u|updates?|sequences?)", text.strip())
        if not match or float(match[1]) <= 0:
            raise UsageError(
                f"budget {text!r}: give a time like 20m or 1.5h, or a number like 5000updates or 48000sequences"
            )
        value, unit = float(match[1]), match[2]
        if unit in SECONDS_IN:
            return cls(seconds=value * SECONDS_IN[unit])
        if not value.is_integer():
            raise UsageError(
                f"budget {text!r}: a whole number of {'sequences' if unit.startswith('seq') else 'updates'}"
            )
        return cls(sequences=int(value)) if unit.startswith("sequence") else cls(updates=int(value))

    def updates_of(self, batch_size: int) -> int | None:
        """How many updates of so many clips it is; None for a time. Part of a batch counts as one."""
        return self.updates if self.sequences is None else -(-self.sequences // batch_size)

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g}s"
        return f"{self.updates}updates" if self.sequences is None else f"{self.sequences}sequences"


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
    start: weight_files.WeightsFile | None = None  #: what the first weights are; None: drawn by the seed
    slice: Budget | None = None  #: after so much of it to stop with a snapshot; the same run again is the next slice
    known_total: int | None = None  #: updates that a budget of time is, where another seed of it was calibrated already
    remedy: str = "name another --output"  #: what to do where something else lies in its place

    def identity(self, fingerprint: str) -> dict[str, Any]:
        """What a checkpoint must agree with to be resumed, as plain JSON values."""
        start = {"start": self.start.sha256} if self.start else {}
        return start | {
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


# -------------------------------------------------------------------------------------------------------- the loop


class Trainer:
    """State of one training run: model, its moving average, optimisers, and how far it has come."""

    def __init__(self, run: TrainingRun, *, quiet: bool = False) -> None:
        """Open the dataset, build the model. Raises VpbenchError for whatever can be known before the first update."""
        self.run, self.quiet = run, quiet
        if not_learning := untrainable(run.model.spec):
            raise Refused(not_learning)
        with contextlib.suppress(OSError):  # of a path that cannot be: writing will say so
            if not run.output.name or run.output.is_dir():
                raise UsageError(f"--output {run.output} is a folder: name the weights file to write")
        self.dataset: Dataset = open_dataset(run.dataset, run.dataset_config)
        self.frame_shape = self.dataset.info.frame_shape
        if why_not := unfit(run, self.dataset):
            raise Refused(why_not)
        self.fingerprint = fingerprint_of(run.dataset, self.dataset, "train")
        self.order = ClipOrder(self._ids("train"), run.batch_size, run.seed)
        self.validation_ids = list(self._ids("val")[:VALIDATION_CLIPS])
        self._build()

    def _ids(self, split: str) -> Sequence[int]:
        """Ids of the clips that are long enough. Only train and val are ever asked for."""
        return ids_of(self.run.dataset, self.dataset, split, self.run.context + self.run.horizon)

    def _build(self) -> None:
        """Model and optimisers as they are before the first update."""
        run = self.run
        seed_generators(stream("init", run.seed))
        self.model: Any = self._new_model()  # a Trainable and a Module
        if run.start:
            weight_files.load_into(self.model, run.start.path, sha256=run.start.sha256)
        self.model.train()
        # Kept apart from the model: the average is what is validated and written, never what is trained.
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        with blaming(run.model, "optimisers()"):
            self.optimisers = self._new_optimisers()
        self.base_rates = {
            part: [group["lr"] for group in optimiser.param_groups] for part, optimiser in self.optimisers.items()
        }
        self.total = run.budget.updates_of(run.batch_size) or run.known_total
        self.update = 0
        self.smooth_loss = math.nan
        self.spent_s = 0.0
        self.history: list[dict[str, float]] = []
        self.torn = False  # inside an update: nothing that may be kept
        self._slice_began = (0.0, 0)  # time.monotonic(), and the update

    def _new_model(self) -> nn.Module:
        run, name = self.run, self.run.model.spec.name
        with blaming(run.model, "making"):
            model = make_model(run.model.spec, run.config, frame_shape=self.frame_shape, context_length=run.context)
            if not isinstance(model, nn.Module) or not isinstance(model, Trainable):
                raise PluginError(f"{name} learns weights, so it must be a torch Module with loss()")
            if odd := [key for key, value in model.state_dict().items() if not isinstance(value, Tensor)]:
                raise PluginError(f"the state of {name} must hold tensors only, {odd[0]} is none")
            if odd := [key for key, value in model.state_dict().items() if not torch.isfinite(value).all()]:
                raise PluginError(f"{odd[0]} is not finite from the start (a mask? register it with persistent=False)")
            if not any(parameter.requires_grad for parameter in model.parameters()):
                raise PluginError(f"{name} learns weights, and has no parameters")
            return model.to(run.device)

    def _new_optimisers(self) -> dict[str, torch.optim.Optimizer]:
        own = getattr(self.model, "optimisers", None)
        if own is None:
            return {"main": torch.optim.AdamW(self.model.parameters(), 3e-4)}
        found = own()
        if not isinstance(found, Mapping) or not found:
            raise PluginError(f"it must return a mapping of parts to optimisers, got {found!r:.80}")
        if odd := [part for part, each in found.items() if not isinstance(each, torch.optim.Optimizer)]:
            raise PluginError(f"part {odd[0]!r} is a {type(found[odd[0]]).__name__}, not a torch optimiser")
        return dict(found)

    # ------------------------------------------------------------------------------------------------- one update

    def task_at(self, update: int) -> TrainTask:
        """What an update asks for."""
        run = self.run
        sampling = getattr(self.model, "sampling", None)
        if sampling is None:
            return TrainTask(context=run.context, horizon=run.horizon)
        with blaming(run.model, "sampling()"):
            return checked_task(sampling(self.progress_at(update)), run.context, run.horizon)

    def progress_at(self, update: int) -> float:
        return update / self.total if self.total else 0.0

    def batch_at(self, update: int) -> TrainBatch:
        """The batch of an update, whenever and wherever it is asked for."""
        run, task = self.run, self.task_at(update)
        generator = torch.Generator().manual_seed(stream("steps", run.seed, update))
        steps = draw_steps(task, run.horizon if task.horizon is None else task.horizon, run.batch_size, generator)
        batch = self._read("train", self.order[update], task.context, steps)
        return TrainBatch(context=batch.context, target_times=batch.target_times, target=batch.target, update=update)

    def _read(self, split: str, ids: Sequence[int], context: int, steps: Tensor) -> Batch:
        run = self.run
        with blaming(run.dataset, f"reading {split} clips"):
            return read_batch(self.dataset, split, ids, context, steps, run.device, run.seed)

    def do_update(self, batch: TrainBatch) -> float:
        """One optimiser step per part, then the average. Returns the loss of the first part."""
        seed_generators(stream("update", self.run.seed, self.update))
        losses = [self._step(part, optimiser, batch) for part, optimiser in self.optimisers.items()]
        self.update += 1
        self._average()
        return losses[0]

    def _step(self, part: str, optimiser: torch.optim.Optimizer, batch: TrainBatch) -> float:
        """One optimiser step on the loss of its part, which is returned. Raises ModelFailed before it does harm."""
        run = self.run
        self._set_rate(part, optimiser)
        optimiser.zero_grad(set_to_none=True)
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        with blaming(run.model, "loss()", f"at update {self.update}"), enough_gpu_memory(), devices.full_float32():
            with devices.precision(run.device, run.precision):
                losses = self.model.loss(batch, progress=self.progress_at(self.update), part=part)
            loss = checked_loss(losses)
            loss.backward()
            if all(p.grad is None for p in parameters):
                raise PluginError(f"it depends on no parameter of the optimiser {part!r}")
        norm = nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        value, size = torch.stack([loss.detach().float(), norm.float()]).tolist()
        for what, number in (("loss", value), ("norm of the gradient", size)):
            if not math.isfinite(number):
                raise ModelFailed(f"the {what} is {number} at update {self.update}: lower the learning rate")
        with blaming(run.model, f"optimiser {part!r}", f"at update {self.update}"), enough_gpu_memory():
            optimiser.step()
        return value

    def _set_rate(self, part: str, optimiser: torch.optim.Optimizer) -> None:
        """Linear warm-up, then a cosine down to a hundredth of the base rate."""
        factor = rate_factor(self.update, self.total or 1)
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
        """Train to the end of the budget, resuming a checkpoint of the same run, and write the weights.

        Weights that are there already are kept: those of this run are the result, those of another are a UsageError.
        Of a sliced run what is written may be a snapshot: its header says how many updates of how many are done.
        """
        run = self.run
        with holding(run.output.with_name(run.output.name + ".lock"), what=f"training of {run.output}"):
            self._sweep()
            there = progress_of(run, self.fingerprint)
            if there.finished:
                self._say(f"{run.output} is trained already")
            else:
                if there.snapshot and not run.checkpoint.exists():
                    self._say(f"the checkpoint of {run.output} is gone: training starts anew")
                started = time.monotonic()
                self._resume()
                self._slice_began = started, self.update
                if not self.update:
                    self._prepare()
                with Progress(
                    f"training {run.model.spec.name}", self.total, unit="updates", done=self.update, quiet=self.quiet
                ) as bar:
                    self._loop(bar)
                self._write_weights()
                if self.update != self.total:
                    self._say(f"the slice ends at update {self.update} of {self.total}: the next goes on from there")
                    return run.output
            with contextlib.suppress(OSError):  # the weights are there, which is what counts
                run.checkpoint.unlink()
        return run.output

    def _sweep(self) -> None:
        """Remove what a killed process left half written: nobody else can be writing here."""
        for path in (self.run.output, self.run.checkpoint):
            for left_over in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
                with contextlib.suppress(OSError):
                    left_over.unlink()

    def _prepare(self) -> None:
        """What is done once, before the first update: see that all of it works, and freeze the number of updates."""
        self.validation_error(self.average, self.validation_ids[:REHEARSAL_CLIPS])
        if self.total is None:
            total = self._calibrate()
            self._build()
            self.total = total
        self.save_checkpoint()

    def _loop(self, bar: Progress) -> None:
        assert self.total is not None
        start, saved = time.monotonic() - self.spent_s, time.monotonic()
        try:
            if self._validation_is_due():  # it was interrupted
                self._validate(bar)
            # The next batch is read while this one is learnt from: it depends on nothing but its number.
            with contextlib.closing(prefetched(self.batch_at, range(self.update, self.total))) as batches:
                for batch in batches:
                    with undisturbed():
                        self._advance(batch)
                        self.spent_s = time.monotonic() - start
                    bar.advance(1, f"loss {self.smooth_loss:.5f}")
                    ends = self._slice_is_over()
                    validated = self._validation_is_due() or (ends and not self._is_validated)
                    if validated:
                        self._validate(bar)
                    if ends or validated or time.monotonic() - saved > CHECKPOINT_INTERVAL_S:
                        self.save_checkpoint()
                        saved = time.monotonic()
                    if ends:
                        break
        except KeyboardInterrupt:
            if not self.torn:
                self.save_checkpoint()
                self._say(f"stopped at update {self.update} of {self.total}: the same command goes on from there")
            raise

    def _slice_is_over(self) -> bool:
        part, (start, first) = self.run.slice, self._slice_began
        if part is None:
            return False
        updates = part.updates_of(self.run.batch_size)
        if updates is not None:
            return self.update - first >= updates
        return time.monotonic() - start >= (part.seconds or 0.0)

    def _advance(self, batch: TrainBatch) -> None:
        """One update with all that is remembered of it."""
        self.torn = True
        loss = self.do_update(batch)
        smooth = self.smooth_loss
        self.smooth_loss = loss if math.isnan(smooth) else smooth + 0.02 * (loss - smooth)
        self.torn = False

    def _calibrate(self) -> int:
        """Turn the seconds of the budget into updates, by timing some that are to be undone."""
        budget = self.run.budget.seconds
        assert budget is not None
        times: list[float] = []
        deadline = time.monotonic() + min(CALIBRATION_S, CALIBRATION_SHARE * budget)
        while len(times) < CALIBRATION_WARM_UP + CALIBRATION_MIN or time.monotonic() < deadline:
            start = time.monotonic()
            self.do_update(self.batch_at(self.update))
            devices.synchronize(self.run.device)
            times.append(time.monotonic() - start)
        start = time.monotonic()
        self.validation_error(self.average)
        validation = time.monotonic() - start
        pace = float(np.median(times[CALIBRATION_WARM_UP:]))
        total = updates_within(budget, pace, validation)
        if total < 1:
            raise UsageError(
                f"budget {self.run.budget}: too short, an update takes {pace:.2g} s and a validation {validation:.2g} s"
            )
        self._say(f"{pace:.3g} s an update: {seconds(budget)} are {total} updates")
        return total

    # ------------------------------------------------------------------------------------------------- validation

    def validation_error(self, state: Mapping[str, Tensor], ids: Sequence[int] | None = None) -> np.ndarray:
        """Mean squared error per step, float64 (horizon,), of a state on val clips (default: the first ones)."""
        run = self.run
        model = self._new_model()
        model.load_state_dict(state)
        model.eval()
        ids = self.validation_ids if ids is None else ids
        total = np.zeros(run.horizon)
        steps = torch.arange(1, run.horizon + 1)
        for part in in_parts(ids, run.batch_size):
            batch = self._read("val", part, run.context, steps.expand(len(part), -1))
            error = (self._predicted(model, batch) - batch.target).double().square().mean(dim=(2, 3, 4)).sum(dim=0)
            total += error.cpu().numpy()
        return total / len(ids)

    def _predicted(self, model: Any, batch: Batch) -> Tensor:
        """float32 (B, Tt, C, H, W) in [0, 1], or NaN where the model says so."""
        run, spec = self.run, self.run.model.spec
        mode = torch.enable_grad() if spec.fits_at_test else torch.inference_mode()
        with blaming(run.model, "predict()"), enough_gpu_memory():
            with mode, devices.precision(run.device, run.precision):
                predicted = model.predict(*told(batch))
            if not isinstance(predicted, Tensor) or predicted.shape != batch.target.shape:
                found = tuple(predicted.shape) if isinstance(predicted, Tensor) else type(predicted).__name__
                raise PluginError(f"it returned {found}, asked for a tensor {tuple(batch.target.shape)}")
        return predicted.detach().float().clamp(0, 1)

    @property
    def _validation_interval(self) -> int:
        return max(VALIDATION_MIN_UPDATES, (self.total or 1) // VALIDATIONS)

    @property
    def _is_validated(self) -> bool:
        return bool(self.history) and self.history[-1]["update"] == self.update

    def _validation_is_due(self) -> bool:
        now = self.update == self.total or (self.update > 0 and self.update % self._validation_interval == 0)
        return now and not self._is_validated

    def _validate(self, bar: Progress) -> None:
        error = self.validation_error(self.average)
        if not np.isfinite(error).all():
            step = int(np.flatnonzero(~np.isfinite(error))[0]) + 1
            raise ModelFailed(f"NaN predicted for the val split after update {self.update}, first at step {step}")
        near = error[:10].mean()
        self.history.append(
            {
                "update": self.update,
                "sequences": self.update * self.run.batch_size,
                "seconds": round(self.spent_s, 1),
                "loss": round(self.smooth_loss, 7),
                "val_mse": float(f"{error.mean():.6g}"),
                "val_mse_first_10": float(f"{near:.6g}"),
            }
        )
        with np.errstate(divide="ignore"):  # no error at all is infinitely many dB
            psnr = -10 * np.log10([near, error.mean(), error.max()])
        bar.say(
            f"update {self.update}/{self.total}  {seconds(self.spent_s)}  loss {self.smooth_loss:.5f}  val psnr-pooled "
            f"{psnr[0]:.2f} dB over steps 1-{min(10, len(error))}, {psnr[1]:.2f} dB over all {len(error)}, "
            f"{psnr[2]:.2f} dB at the worst"
        )

    # ------------------------------------------------------------------------------------------------ checkpoints

    def save_checkpoint(self) -> None:
        """Replace the checkpoint, whole or not at all. Raises ModelFailed rather than keep what is not finite."""
        for name, value in self.average.items():
            if not torch.isfinite(value).all():
                raise ModelFailed(f"{name} is not finite after update {self.update}: lower the learning rate")
        buffer = io.BytesIO()
        content = {
            "version": CHECKPOINT_VERSION,
            "identity": json.dumps(self.run.identity(self.fingerprint), sort_keys=True),
            "total": self.total,
            "update": self.update,
            "smooth_loss": self.smooth_loss,
            "spent_s": self.spent_s,
            "history": self.history,
            "surroundings": self._surroundings(),
            "model": self.model.state_dict(),
            "average": self.average,
            "optimisers": {part: optimiser.state_dict() for part, optimiser in self.optimisers.items()},
        }
        torch.save(content, buffer)
        with undisturbed():
            write_atomically(self.run.checkpoint, buffer.getvalue())

    def _surroundings(self) -> dict[str, Any]:
        """What beside the identity decides the last bits of a result."""
        return {"device": str(self.run.device), "threads": torch.get_num_threads(), "torch": str(torch.__version__)}

    def _resume(self) -> None:
        """Take the state of the checkpoint, if there is one."""
        path, own = self.run.checkpoint, self.run.identity(self.fingerprint)
        if not path.exists():
            return
        content = read_checkpoint(path, self.run.device)
        if difference(json.loads(content["identity"]), own):
            return  # it was written before the first update: others are not let through by `progress_of`
        try:
            self._take(content)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise damaged(path, error) from error
        if not self.update:
            return
        self._say(f"resuming at update {self.update} of {self.total}, {seconds(self.spent_s)} in")
        if different := difference(content.get("surroundings", self._surroundings()), self._surroundings()):
            self._say(f"the result will not be the uninterrupted one to the last bit: {different}")

    def _take(self, content: Mapping[str, Any]) -> None:
        total, update = content["total"], content["update"]
        if not 0 <= update <= total:
            raise ValueError(f"update {update} of {total}")
        self.model.load_state_dict(content["model"])
        if misfits := difference(_shapes(content["average"]), _shapes(self.average)):
            raise ValueError(f"average: {misfits}")
        for part, optimiser in self.optimisers.items():
            optimiser.load_state_dict(content["optimisers"][part])
        self.average = dict(content["average"])
        self.total, self.update = total, update
        self.smooth_loss = content.get("smooth_loss", math.nan)
        self.spent_s, self.history = content["spent_s"], list(content["history"])

    # ----------------------------------------------------------------------------------------------------- export

    def _write_weights(self) -> None:
        run = self.run
        half = self._half_loses_nothing()
        header = {
            **run.identity(self.fingerprint),
            "frame_shape": list(self.frame_shape),
            "updates": self.update,
            "total_updates": self.total,
            "sequences": self.update * run.batch_size,
            "seconds": round(self.spent_s, 1),
            "device": devices.describe(run.device)["device_name"],
            "threads": torch.get_num_threads(),
            "stored_as": "float16" if half else "float32",
            "code_version": code_version(run.model, run.dataset),
            "learnt_from": all_learnt_from(run, self.dataset),
            "history": self.history,
        }
        with undisturbed():
            weight_files.save(run.output, self.average, header, half=half)

    def _half_loses_nothing(self) -> bool:
        """Whether float16 weights predict the val split as well as the exact ones."""
        exact = self.validation_error(self.average).mean()
        halved = self.validation_error(weight_files.as_stored(self.average, half=True)).mean()
        return bool(abs(halved - exact) < HALF_TOLERANCE * exact or halved == exact)

    def _say(self, line: str) -> None:
        if not self.quiet:
            print(line, file=sys.stderr, flush=True)


# -------------------------------------------------------------------------------------------------- what is refused


def untrainable(spec: ModelSpec) -> str:
    """Why there is nothing to train in a model; empty if there is."""
    return (
        ""
        if spec.learns == "weights"
        else f"{spec.name} learns {spec.learns}: there is nothing to train, run it as it is"
    )


def all_learnt_from(run: TrainingRun, dataset: Dataset) -> dict[str, list[list[int]]] | None:
    """What the weights of a run have seen: its train split, and what those it starts from had; None: not known."""
    own = sources_of(run.dataset, dataset, "train")
    return own if run.start is None else joined(own, run.start.header.get("learnt_from"))


def unfit(run: TrainingRun, dataset: Dataset) -> str:
    """Why a model cannot be trained on a dataset; empty if nothing speaks against it."""
    spec, data, info = run.model.spec, run.dataset.spec, dataset.info
    needed = run.context + run.horizon
    if info.max_length is not None and needed > info.max_length:
        return f"context {run.context} + horizon {run.horizon} needs {needed} frames, {data.name} has {info.max_length}"
    if missing := sorted(info.needs - spec.capabilities):
        return f"{data.name} has frames at times of their own, {spec.name} cannot do {', '.join(missing)}"
    if run.start is not None and run.start.model != spec.name:
        return f"weights {run.start.path} are of {run.start.model}, {spec.name} cannot start from them"
    if run.start is not None and run.start.frame_shape != tuple(info.frame_shape):
        shapes = ["×".join(map(str, shape)) for shape in (run.start.frame_shape, info.frame_shape)]
        return f"weights {run.start.path} are for frames {shapes[0]}, {data.name} has {shapes[1]}"
    if spec.channels not in (None, info.frame_shape[0]):
        return f"{spec.name} takes frames of {spec.channels} channels, {data.name} has {info.frame_shape[0]}"
    for split in ("train", "val"):
        if not len(ids_of(run.dataset, dataset, split, needed)):
            return f"{data.name} has no clip of {needed} frames in its {split} split"
    return ""


# ---------------------------------------------------------------------------------------------------- what is there


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training run has come, by the files that are there."""

    updates: int = 0  #: done, which resuming goes on from
    total: int | None = None  #: of how many; None where nothing has settled it
    finished: bool = False
    snapshot: bool = False  #: there are weights of a part of the run


def progress_of(run: TrainingRun, fingerprint: str) -> TrainingProgress:
    """What is there of a run: its weights, a snapshot of them, a checkpoint, or nothing.

    fingerprint  of the train split

    Raises UsageError for weights or a checkpoint of another run in its place, WeightsError for a damaged checkpoint.
    """
    own, total = run.identity(fingerprint), run.budget.updates_of(run.batch_size) or run.known_total
    header = _header_there(run, own)
    if header is not None:
        target = header.get("total_updates", header.get("updates"))
        if header.get("updates") == target:  # those from before there were snapshots have no target
            return TrainingProgress(target or 0, target, finished=True)
    snapshot = header is not None
    if not run.checkpoint.exists():
        return TrainingProgress(0, total, snapshot=snapshot)
    content = read_checkpoint(run.checkpoint, torch.device("cpu"), tensors=False)
    if different := difference(json.loads(content["identity"]), own):
        if not content["update"]:
            return TrainingProgress(0, total, snapshot=snapshot)  # nothing is lost
        raise UsageError(
            f"checkpoint {run.checkpoint} is of another run ({different}): {run.remedy}, or delete it to start anew"
        )
    return TrainingProgress(content["update"], content.get("total", total), snapshot=snapshot)


def _header_there(run: TrainingRun, own: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The header of the weights that this run has written; None where there are none."""
    if not run.output.exists():
        return None
    try:
        header = weight_files.read_header(run.output)
    except WeightsError as error:
        raise UsageError(f"{run.output} is there and no weights file of ours: {run.remedy}") from error
    said = {key: header.get(key) for key in {*own, "start"}}  # which own has only where there is one
    if different := difference(said, own):
        raise UsageError(f"{run.output} holds the weights of another run ({different}): {run.remedy}, or delete it")
    return header


# ------------------------------------------------------------------------------------------------------ parts of it


def rate_factor(update: int, total: int) -> float:
    """The learning rate of an update as a share of the base rate: a line up, then a cosine down to FINAL_RATE."""
    warm_up = max(1, min(WARM_UP_MAX, round(WARM_UP_SHARE * total)))
    if update < warm_up:
        return (update + 1) / warm_up
    way = (update - warm_up) / max(1, total - warm_up)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * way))


def updates_within(budget: float, update_s: float, validation_s: float) -> int:
    """How many updates fit into the seconds of a budget beside the validations they bring; less than 1 if none does."""
    validations = min(VALIDATIONS, int(budget / update_s) // VALIDATION_MIN_UPDATES) + 3  # the last, and two to export
    return round((budget - validations * validation_s) / update_s)


def seed_generators(seed: int) -> None:
    """Seed what a model may draw from: torch (all devices), numpy's global generator and `random`."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def checked_loss(losses: Any) -> Tensor:
    """The scalar to minimise among what a model's loss() returned. Raises PluginError."""
    if not isinstance(losses, Mapping) or "loss" not in losses:
        raise PluginError(f"it must return a mapping with 'loss', got {' '.join(repr(losses).split()):.80}")
    loss = losses["loss"]
    if not isinstance(loss, Tensor) or loss.ndim != 0:
        found = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise PluginError(f"'loss' must be a scalar tensor, got {found}")
    if not loss.requires_grad:
        raise PluginError("'loss' does not depend on any parameter (detached, or computed without gradients?)")
    return loss


@contextlib.contextmanager
def enough_gpu_memory() -> Iterator[None]:
    """Turn a GPU that is too small into advice."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise ModelFailed("out of GPU memory: give a smaller batch size") from error


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}
