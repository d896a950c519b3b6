"""Small real videos, made here; a cache of this test run; the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is known about any file yet, and the user's own cache is not touched."""
    monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VPBENCH_CLIPS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for clips."""
    path = tmp_path / "clips"
    path.mkdir()
    return path


def moving(n: int = 12, height: int = 16, width: int = 24, seed: int = 0) -> np.ndarray:
    """uint8 (n, H, W, 3): a pattern that moves, another one for each seed."""
    y, x, t = np.meshgrid(np.arange(height), np.arange(width), np.arange(n), indexing="ij")
    planes = (x * 5 + t * 3 + seed * 17, y * 7 + t * (1 + seed), (x + y) * 4 + t * 7)
    return np.stack([plane % 256 for plane in planes], axis=-1).astype(np.uint8).transpose(2, 0, 1, 3)


@pytest.fixture
def movie() -> Callable[..., np.ndarray]:
    return moving


def write(
    path: Path,
    frames: np.ndarray,
    codec: str = "ffv1",
    pixels: str = "",
    *,
    gop: int = 6,
    times: list[int] | None = None,
    **options: str,
) -> Path:
    """A video of these frames, (T, H, W, 3) or grey (T, H, W), by PyAV; lossless as it stands. times: in ms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = frames.ndim == 3
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels or ("gray" if grey else "bgr0")
        stream.gop_size = gop
        if times:
            from fractions import Fraction

            stream.codec_context.time_base = Fraction(1, 1000)
        for number, each in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(each, format="gray" if grey else "rgb24")
            if times:
                frame.pts, frame.time_base = times[number], stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def video() -> Callable[..., Path]:
    return write


@pytest.fixture
def image_folder() -> Callable[[Path, np.ndarray], Path]:
    def make(path: Path, frames: np.ndarray) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(path / f"frame{number}.png")  # frame9 before frame10
        return path

    return make


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """The command line in an empty folder, with this plugin, the floors and the metrics."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("VPBENCH_PLUGINS", "clips,baselines,metrics")

    def run(*args: object) -> Result:
        from vpbench.cli import main

        return CliRunner().invoke(main, [str(arg) for arg in args], prog_name="vpbench")

    return run
