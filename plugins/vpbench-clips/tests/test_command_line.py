"""Own data through the front door: `vpbench run`, `train` and `verify` on files made here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest


def record_of(model, horizon):
    found = [json.loads(path.read_text()) for path in Path("runs").rglob("*.json")]
    (record,) = [
        each
        for each in found
        if (each["identity"]["model"]["name"], each["identity"]["task"]["horizon"]) == (model, horizon)
    ]
    return record


def ball(n, seed, size=16):
    """uint8 (n, H, W): a bright square that moves on a torus."""
    rng = np.random.default_rng(seed)
    start, step = rng.integers(0, size, 2), rng.integers(1, 3, 2)
    frames = np.zeros((n, size, size), dtype=np.uint8)
    for k in range(n):
        rows, columns = ((start[axis] + k * step[axis] + np.arange(4)) % size for axis in (0, 1))
        frames[k][np.ix_(rows, columns)] = 200
    return frames


@pytest.fixture
def kth(folder, video):
    """A folder as KTH has it, lossless: six people who walk and run, 24 frames each."""
    for person in range(1, 7):
        for k, action in enumerate(("walking", "running")):
            name = f"person{person:02d}_{action}_d1_uncomp.avi"
            video(folder / action / name, ball(24, 10 * person + k), "ffv1", "gray")
    return folder


def one_line(result, code, *texts):
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    for text in texts:
        assert text in line
    assert "Traceback" not in result.output


def test_a_folder_of_videos_is_run_and_the_scores_are_those_of_its_frames(bench, kth):
    settings = ("--set", f"path={kth}", "--set", "test_if=person0[56]", "--set", "cut=12")
    result = bench("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 2, *settings)
    assert result.exit_code == 0, result.output
    record = record_of("copy-last", 2)
    assert record["identity"]["clips"] == 8  # two people, two actions, two cuts of 12
    errors = []
    for person in (5, 6):
        for k in (0, 1):
            frames = ball(24, 10 * person + k).reshape(2, 12, 16, 16).astype(np.float64) / 255
            errors += [((frames[:, [10, 11]] - frames[:, [9]]) ** 2).mean()]
    scores = record["scores"]
    assert scores["mse"]["value"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert str(kth) not in json.dumps(record["identity"])
    again = bench("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 2, *settings)
    assert "0 to run" in again.output or "done" in again.output


def test_floors_that_learn_statistics_see_the_train_split_alone(bench, kth):
    result = bench(
        *("run", "--model", "train-mean", "--dataset", "clips", "--horizon", 1, "--set", f"path={kth}"),
        *("--set", "test_if=person06", "--set", "train_if=person0[1-5]"),
    )
    assert result.exit_code == 0, result.output
    seen = np.stack([ball(24, 10 * person + k)[:20] for person in range(1, 6) for k in (0, 1)]) / 255
    mean = seen.mean(axis=(0, 1))
    error = np.mean([((ball(24, 60 + k)[10] / 255 - mean) ** 2).mean() for k in (0, 1)])
    assert record_of("train-mean", 1)["scores"]["mse"]["value"] == pytest.approx(error, rel=1e-5)


def test_it_is_verified_where_the_files_are_named_again(bench, kth, monkeypatch):
    settings = ("--set", f"path={kth}", "--set", "splits=test")
    assert bench("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 1, *settings).exit_code == 0
    (record,) = [path for path in Path("runs").rglob("*.json") if "copy-last" in str(path)]
    one_line(bench("verify", record), 4, "clips: where are they? --set path=FOLDER names them, or $VPBENCH_CLIPS")
    monkeypatch.setenv("VPBENCH_CLIPS", str(kth))
    verified = bench("verify", record)
    assert verified.exit_code == 0, verified.output
    elsewhere = kth / "walking"
    one_line(bench("verify", record, "--set", f"path={elsewhere}"), 4, "clips has other frames here than it was made")


def test_short_videos_are_said_and_the_rest_is_run(bench, kth, video):
    video(kth / "walking" / "person06_walking_d2_uncomp.avi", ball(5, 99), "ffv1", "gray")
    result = bench(
        *("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 5, "--set", f"path={kth}"),
        *("--set", "test_if=person06"),
    )
    assert result.exit_code == 0, result.output
    assert "1 of 3 test videos have fewer than 15 frames" in result.output


def test_a_video_shorter_than_context_and_horizon_is_refused(bench, kth):
    result = bench(
        *("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 20, "--set", f"path={kth}"),
        *("--set", "splits=test"),
    )
    assert result.exit_code == 3
    assert "horizon 20 needs 30 frames, clips has 24" in result.stderr


def test_irregular_clips_are_for_models_that_can(bench, folder):
    for k in range(4):
        np.save(folder / f"{k}.npy", ball(14, k))
        np.save(folder / f"{k}.times.npy", np.cumsum(np.random.default_rng(k).uniform(0.5, 1.5, 14)))
    Path("model.py").write_text(
        "class OnTheGrid:\n"
        "    def __init__(self, config, *, frame_shape, context_length):\n        pass\n"
        "    def predict(self, context, target_times):\n        return context.frames[:, -1:]\n"
    )
    settings = ("--set", f"path={folder}", "--set", "times=file", "--set", "splits=test")
    refused = bench("run", "--model", "model.py:OnTheGrid", "--dataset", "clips", "--horizon", 2, *settings)
    assert refused.exit_code == 3
    assert "clips has frames at times of their own, on-the-grid cannot do fractional, irregular" in refused.stderr
    result = bench("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 4, *settings)
    assert result.exit_code == 0, result.output
    errors = [((ball(14, k)[10:14] / 255 - ball(14, k)[9] / 255) ** 2).mean() for k in range(4)]
    assert record_of("copy-last", 4)["scores"]["mse"]["value"] == pytest.approx(np.mean(errors), rel=1e-6)


LINEAR = '''
"""One weight per pixel: enough to be trained."""
import torch


class Fading(torch.nn.Module):
    def __init__(self, config, *, frame_shape, context_length):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(frame_shape))

    def predict(self, context, target_times):
        last = context.frames[:, -1:] * self.gain
        return last.expand(-1, target_times.shape[1], -1, -1, -1)

    def loss(self, batch, *, progress, part="main"):
        return {"loss": (self.predict(batch.context, batch.target_times) - batch.target).square().mean()}
'''


@pytest.fixture
def trained(bench, kth):
    """Weights that saw persons 1 to 4."""
    Path("fading.py").write_text(LINEAR)
    result = bench(
        *("train", "--model", "fading.py:Fading", "--dataset", "clips", "--set", f"path={kth}"),
        *("--set", "test_if=person0[56]", "--set", "val_if=person04", "--context", 4, "--horizon", 2),
        *("--budget", "3updates", "--batch-size", 2, "--output", "fading.safetensors"),
    )
    assert result.exit_code == 0, result.output
    return bench


def test_a_model_is_trained_on_own_data_and_tested_on_the_rest(trained, kth):
    result = trained(
        *("run", "--model", "fading.py:Fading", "--dataset", "clips", "--set", f"path={kth}", "--horizon", 2),
        *("--set", "test_if=person0[56]", "--set", "val_if=person04", "--context", 4),
        *("--weights", "fading.safetensors"),
    )
    assert result.exit_code == 0, result.output
    assert record_of("fading", 2)["identity"]["clips"] == 4


def test_weights_are_refused_where_they_have_seen_the_test_clips_under_another_split(trained, kth):
    result = trained(
        *("run", "--model", "fading.py:Fading", "--dataset", "clips", "--set", f"path={kth}", "--horizon", 2),
        *("--set", "splits=test", "--context", 4, "--weights", "fading.safetensors"),
    )
    assert result.exit_code == 3, result.output
    assert "were trained on what clips tests with: 6 of the 12 items of files" in result.stderr


@pytest.mark.parametrize(
    ("spoil", "settings", "said"),
    [
        (lambda folder: (folder / "x.mp4").write_bytes(b"?"), (), "x.mp4 cannot be read ("),
        (
            lambda folder: np.save(folder / "x.npy", np.zeros((24, 9, 9), np.uint8)),
            (),
            "--set size=9,9 makes them alike",
        ),
        (lambda folder: np.save(folder / "x.npy", np.array([{}])), (), "pickled objects, which are never opened"),
        (lambda folder: None, ("--set", "times=seconds"), "a video has no array 'seconds' of times"),
        (lambda folder: (folder / "test.txt").write_text("nobody"), (), "test.txt, line 1: there is no nobody in "),
    ],
)
def test_bad_files_are_one_line(bench, kth, spoil, settings, said):
    spoil(kth)
    result = bench(
        *("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 1, "--set", f"path={kth}"), *settings
    )
    one_line(result, 4, said)
    assert not Path("runs").exists()


def test_a_folder_that_is_not_there_is_one_line(bench):
    result = bench("run", "--model", "copy-last", "--dataset", "clips", "--horizon", 1, "--set", "path=nowhere")
    one_line(result, 4, "nowhere is not there or not readable (No such file or directory)")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_look_at_a_huge_file_can_be_interrupted(folder, number) -> None:
    header = np.lib.format.header_data_from_array_1_0(np.empty(0, np.uint8)) | {"shape": (10_000_000, 20, 16, 16)}
    with open(folder / "huge.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 10_000_000 * 20 * 16 * 16)  # 51 GB, of which the disk holds nothing
    code = "from vpbench.cli import main; main(prog_name='vpbench')"
    words = f"run --model copy-last --dataset clips --set path={folder} --set splits=test --horizon 1 --metric mae"
    given = {**os.environ, "VPBENCH_PLUGINS": "clips,metrics,baselines"}
    command = [sys.executable, "-c", code, *words.split(), "--set", "layout=NTHW"]
    process = subprocess.Popen(command, env=given, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(4)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)  # reading all of it takes minutes
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "interrupted" in errors
