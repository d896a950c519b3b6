"""The baselines of vpbench-baselines and vpbench-zoo beside the textbook form of the same models.

The textbook form (`textbook_models.py`) has one convolution for each input of a cell, contiguous memory and lists of
frames. Both have the same weights. A training update is forward and backward, a roll-out is a prediction, each of 10
frames after 10. The two are timed in turns, so that a busy machine slows both; the ratios are the result. On a CPU the
clock is the process's own, which runs only while it does. "Difference" is the largest one between the two, relative to
the largest number there: of gradients after an update, of frames after a roll-out.

    python benchmarks/model_speed.py
    python benchmarks/model_speed.py --device cuda --batch-size 16 --compile
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import click
import torch
from tabulate import tabulate
from textbook_models import TEXTBOOK
from torch import Tensor, nn

from vpbench import Context, TrainBatch, registry
from vpbench.config import parse_setting
from vpbench.device import PRECISIONS, describe, precision, resolve, synchronize
from vpbench.instances import configured, make_model
from vpbench.registry import Provided
from vpbench.specs import ModelSpec
from vpbench.specs import resolve as named

PROGRESS = (
    0.3  # of the way through training: truth and predictions are fed, but to PhyDNet, which has left truth behind
)
TASKS = ("training", "roll-out")


class Form(Protocol):
    """One way of writing a model, with the clips it is asked about."""

    model: nn.Module

    def loss(self) -> Tensor: ...

    def predict(self) -> Tensor: ...


class Own:
    """A model of a plugin, asked as the harness asks it."""

    def __init__(self, model: Any, frames: Tensor, context: int) -> None:
        self.model = model
        times = torch.arange(frames.shape[1], dtype=torch.float64).expand(len(frames), -1)
        seeds = torch.zeros(len(frames), dtype=torch.int64)
        given = Context(frames[:, :context].contiguous(), times[:, :context], seeds)
        self.batch = TrainBatch(given, times[:, context:], frames[:, context:].contiguous())

    def loss(self) -> Tensor:
        return self.model.loss(self.batch, progress=PROGRESS)["loss"]

    def predict(self) -> Tensor:
        return self.model.predict(self.batch.context, self.batch.target_times)


class Textbook:
    """The textbook form."""

    def __init__(self, model: Any, frames: Tensor, context: int) -> None:
        self.model = model
        self.context, self.target = frames[:, :context].contiguous(), frames[:, context:].contiguous()

    def loss(self) -> Tensor:
        return self.model.loss(self.context, self.target, PROGRESS)

    def predict(self) -> Tensor:
        return self.model.predict(self.context, self.target.shape[1])


@dataclass(frozen=True)
class Forms:
    """Ways of writing one model, with the same weights."""

    textbook: Form
    own: Form
    compiled: Form | None
    imported: Callable[[dict[str, Tensor]], dict[str, Tensor]]  #: tensors named as published, as those of the plugin

    @classmethod
    def of(
        cls, provided: Provided[ModelSpec], settings: Mapping[str, str], frames: Tensor, context: int, *, compiled: bool
    ) -> Forms:
        spec, shape = provided.spec, (int(frames.shape[2]), int(frames.shape[3]), int(frames.shape[4]))
        config = configured(provided, settings)
        assert spec.importer is not None
        importer = named(spec.importer)
        torch.manual_seed(0)
        textbook = TEXTBOOK[spec.name](config, shape, context).to(frames.device)

        def own(**more: str) -> Own:
            changed = configured(provided, {**settings, **more})
            model = make_model(spec, changed, frame_shape=shape, context_length=context).to(frames.device)
            model.load_state_dict(importer(textbook.state_dict(), config))
            return Own(model, frames, context)

        return cls(
            Textbook(textbook, frames, context),
            own(),
            own(compile="true") if compiled else None,
            lambda state: importer(state, config),
        )

    def all(self) -> dict[str, Form]:
        return {"textbook": self.textbook, "ours": self.own} | ({"compiled": self.compiled} if self.compiled else {})

    def difference(self, task: str) -> float:
        """Between textbook and plugin."""
        if task == "roll-out":
            theirs, ours = ([found(each)] for each in (self.textbook, self.own))
        else:
            for each in (self.textbook, self.own):
                update(each)
            gradients = {name: _gradient(each) for name, each in self.textbook.model.state_dict(keep_vars=True).items()}
            by_name = self.imported(gradients)
            parameters = dict(self.own.model.named_parameters())
            theirs, ours = [by_name[name] for name in parameters], [_gradient(each) for each in parameters.values()]
        apart = max(float((a - b).abs().max()) for a, b in zip(theirs, ours, strict=True))
        return apart / max(float(each.abs().max()) for each in theirs)


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def update(form: Form) -> None:
    """Forward and backward, with fresh gradients, and the same random numbers each time."""
    torch.manual_seed(1)
    form.model.train().zero_grad()
    form.loss().backward()


def found(form: Form) -> Tensor:
    form.model.eval()
    with torch.inference_mode():
        return form.predict()


RUN: dict[str, Callable[[Form], object]] = {"training": update, "roll-out": found}


def seconds(run: Callable[[Form], object], form: Form, device: torch.device) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    synchronize(device)
    start = clock()
    run(form)
    synchronize(device)
    return clock() - start


def clips(batch: int, length: int, side: int) -> Tensor:
    """A bright square that moves over noise, another way in each clip: float32 (B, T, 1, side, side)."""
    generator = torch.Generator().manual_seed(0)
    frames = 0.1 * torch.rand(batch, length, 1, side, side, generator=generator)
    for at, clip in enumerate(frames):
        for step, frame in enumerate(clip):
            top, left = (at + step) % (side // 2), (at - step) % (side // 2)
            frame[:, top : top + side // 4, left : left + side // 4] += 0.8
    return frames


@click.command(help=__doc__)
@click.option("--model", "models", multiple=True, type=click.Choice(list(TEXTBOOK)), help="Default: all.")
@click.option("--task", "tasks", multiple=True, type=click.Choice(TASKS), help="Default: both.")
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), help="Default: both.")
@click.option("--set", "settings", multiple=True, help="Another size: model.key=value, e.g. predrnn.hidden=64.")
@click.option("--batch-size", default=2, show_default=True)
@click.option("--side", default=64, show_default=True, help="Of the frames, in pixels.")
@click.option("--context", default=10, show_default=True)
@click.option("--horizon", default=10, show_default=True, help="SimVP and TAU: at most the context.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--repeats", default=3, show_default=True, help="Repetitions; the fastest of each form counts.")
@click.option("--compile", "compiled", is_flag=True, help="Also ours with compile=true.")
def main(
    models: tuple[str, ...],
    tasks: tuple[str, ...],
    precisions: tuple[str, ...],
    settings: tuple[str, ...],
    batch_size: int,
    side: int,
    context: int,
    horizon: int,
    threads: int,
    device: str,
    repeats: int,
    compiled: bool,
) -> None:
    torch.set_num_threads(threads)
    where = resolve(device)
    frames = clips(batch_size, context + horizon, side).to(where)
    chosen = [parse_setting(each) for each in settings]
    installed = registry.load()

    machine = describe(where)
    name = f"{machine['device_name']}" + (
        f", {os.cpu_count()} CPUs, {threads} thread(s)" if where.type == "cpu" else ""
    )
    click.echo(f"{batch_size} clips of {side}×{side}, {context}→{horizon}; best of {repeats}; {name}")
    click.echo(f"python {platform.python_version()}, torch {version('torch')}")
    extra = ["compiled ms", "times as fast"] if compiled else []
    headers = ["model", "task", "precision", "textbook ms", "ours ms", "times as fast", *extra, "difference"]
    table = []
    for model in models or TEXTBOOK:
        own = {key: value for target, key, value in chosen if target == model}
        forms = Forms.of(installed.model(model), own, frames, context, compiled=compiled)
        for kind in precisions or PRECISIONS:
            for task in tasks or TASKS:
                with precision(where, kind):
                    apart = forms.difference(task)  # which warms up, too
                    best = dict.fromkeys(forms.all(), float("inf"))
                    for _ in range(repeats + compiled):
                        for each, form in forms.all().items():
                            best[each] = min(best[each], seconds(RUN[task], form, where))
                ratios = [
                    (f"{1e3 * best[each]:.0f}", f"{best['textbook'] / best[each]:.2f}") for each in list(best)[1:]
                ]
                row = [model, task, kind, f"{1e3 * best['textbook']:.0f}", *sum(ratios, ()), f"{apart:.1e}"]
                table.append(row)
                click.echo("  ".join(row), err=True)
        del forms
    click.echo(tabulate(table, headers=headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
