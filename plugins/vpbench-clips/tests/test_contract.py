"""The conformance kit, held against every kind of clips there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vpbench.testing import checks_for, installed


@pytest.fixture
def conforms(monkeypatch):
    """Hold "clips" with these settings against the contract; the names of the checks that say nothing about it."""
    monkeypatch.setenv("VPBENCH_PLUGINS", "clips")

    def check(path: Path, *settings: str) -> set[str]:
        subject = installed("dataset", "clips", [f"path={path}", *settings])
        findings = [each.finding() for each in checks_for(subject)]
        assert len(findings) > 25
        assert not [f"{each.check}: {each.detail}" for each in findings if not each.holds]
        return {each.check for each in findings if each.status == "not applicable"}

    return check


#: It knows nothing beyond the pixels, and shows models what there is.
SAYS_NOTHING = {"check_truth_is_as_declared", "check_swapped", "check_what_a_model_is_shown"}
REGULAR = SAYS_NOTHING | {"check_irregular_times"}

SHARES = "shares=0.4,0.3,0.3"


def test_videos_keep_it(conforms, folder, video, movie):
    for k in range(16):
        video(folder / f"{k}.mkv", movie(10 + k, seed=k))
    assert conforms(folder, SHARES, "cut=5", "stride=2", "size=8", "channels=1") == REGULAR


def test_image_folders_keep_it(conforms, folder, image_folder, movie):
    for k in range(12):
        image_folder(folder / ("train", "val", "test")[k % 3] / f"{k}", movie(9, seed=k))
    assert conforms(folder) == REGULAR


def test_arrays_with_times_of_their_own_keep_it(conforms, folder):
    for k in range(16):
        rng = np.random.default_rng(k)
        np.save(folder / f"{k}.npy", rng.random((10, 12, 12)))
        np.save(folder / f"{k}.times.npy", np.cumsum(rng.uniform(0.5, 1.5, 10)))
    assert conforms(folder, SHARES, "times=file") == SAYS_NOTHING | {"check_times_between_frames"}


def test_inputs_and_targets_keep_it(conforms, folder):
    rng = np.random.default_rng(0)
    halves = {f"{half}_{split}": rng.uniform(-1, 1, (9, 4, 2, 8, 8)) for half in "XY" for split in ("train", "test")}
    np.savez_compressed(folder / "traffic.npz", **halves)
    assert conforms(folder / "traffic.npz", "value_range=-1,1") == REGULAR
