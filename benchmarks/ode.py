"""Solving the latent ODE of vpbench-latentode: its own RK4 with Hermite interpolation, next to torchdiffeq's solvers.

All rows answer the same question, at the size of the default model: where are 32 states of 192 numbers at 90 times, 0.1
apart? The field is the model's, its last layer scaled so that states bend. Forward and backward are timed together, in
turns, so that a busy machine slows all rows; the ratios are the result. Errors are the largest difference to float64
dopri5 at 1e-10, relative to the largest number there.

    python benchmarks/ode.py
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version

import click
import torch
from tabulate import tabulate
from torch import Tensor
from torchdiffeq import odeint
from vpbench_latentode.config import Config
from vpbench_latentode.network import VectorField
from vpbench_latentode.ode import Field, rk4_hermite

from vpbench.device import describe

Solve = Callable[[Field, Tensor, Tensor], Tensor]  # f, (B, D), times (T,) from one spacing on -> (B, T, D)

BASELINE = "torchdiffeq dopri5, 1e-3 (the report)"


def own(frames_per_step: float) -> Solve:
    def solve(f: Field, y0: Tensor, times: Tensor) -> Tensor:
        return rk4_hermite(f, y0, times.expand(len(y0), -1), step=0.1 * frames_per_step)

    return solve


def torchdiffeq(method: str, tolerance: float = 0.0) -> Solve:
    def solve(f: Field, y0: Tensor, times: Tensor) -> Tensor:
        grid = torch.cat([times.new_zeros(1), times]).to(y0.dtype)
        solved = odeint(lambda _, y: f(y), y0, grid, method=method, rtol=tolerance, atol=tolerance)
        return solved[1:].transpose(0, 1)

    return solve


ROWS: dict[str, Solve] = {
    BASELINE: torchdiffeq("dopri5", 1e-3),
    "torchdiffeq dopri5, 1e-5": torchdiffeq("dopri5", 1e-5),
    "torchdiffeq rk4, a step per frame": torchdiffeq("rk4"),
    "rk4-hermite, a step per frame": own(1.0),
    "rk4-hermite, a step per 2 frames (default)": own(2.0),
    "rk4-hermite, a step per 4 frames": own(4.0),
}


def evaluations(solve: Solve, f: Field, y0: Tensor, times: Tensor) -> int:
    calls = 0

    def counting(y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return f(y)

    with torch.no_grad():
        solve(counting, y0, times)
    return calls


def seconds(solve: Solve, f: VectorField, y0: Tensor, times: Tensor) -> float:
    start = time.perf_counter()
    solve(f, y0, times).square().mean().backward()
    if y0.is_cuda:
        torch.cuda.synchronize()
    taken = time.perf_counter() - start
    f.zero_grad()
    return taken


def processor() -> str:
    """What the tables were timed on."""
    return f"{describe(torch.device('cpu'))['cpu']}, {os.cpu_count()} CPUs"


@click.command(help=__doc__)
@click.option("--clips", default=32, show_default=True, help="Clips in the batch.")
@click.option("--frames", default=90, show_default=True, help="Times asked for.")
@click.option("--scale", default=10.0, show_default=True, help="Factor on the field's last layer: 30 is stiffer.")
@click.option("--threads", default=1, show_default=True, help="Threads of torch.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--repeats", default=9, show_default=True, help="Repetitions; the fastest of each row counts.")
def main(clips: int, frames: int, scale: float, threads: int, device: str, repeats: int) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = Config()
    field = VectorField(config)
    with torch.no_grad():
        for parameter in field.layers[-1].parameters():
            parameter.mul_(scale)
    y0 = torch.randn(clips, config.state)
    times = torch.arange(1, frames + 1, dtype=torch.float64) * config.frame_dt

    with torch.no_grad():
        exact = torchdiffeq("dopri5", 1e-10)(field.double(), y0.double(), times)
        field.float().to(device)
        y0 = y0.to(device)
        errors = {name: (solve(field, y0, times).cpu() - exact).abs().max() for name, solve in ROWS.items()}
    best = dict.fromkeys(ROWS, float("inf"))
    for _ in range(repeats + 1):  # the first one warms up; it is never the fastest
        for name, solve in ROWS.items():
            best[name] = min(best[name], seconds(solve, field, y0, times))

    table = [
        (
            name,
            evaluations(solve, field, y0, times),
            f"{1e3 * best[name]:.1f}",
            f"{best[BASELINE] / best[name]:.2f}",
            f"{errors[name] / exact.abs().max():.1e}",
        )
        for name, solve in ROWS.items()
    ]
    where = torch.cuda.get_device_name() if y0.is_cuda else f"{processor()}, {threads} thread(s)"
    click.echo(
        f"{clips} clips, state {config.state}, {frames} times, last layer ×{scale:g}; best of {repeats}; {where}"
    )
    packages = ("torch", "torchdiffeq")
    click.echo(", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)]))
    headers = ["solver", "NFE", "ms", "times as fast", "max rel. error"]
    click.echo(tabulate(table, headers=headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
