"""What the faulty plugin offers; VPBENCH_TEST_FAULT names the one thing that is wrong with it."""

import os

import numpy as np
import torch

import vpbench

FAULT = os.environ.get("VPBENCH_TEST_FAULT", "")


class Data:
    def __init__(self, config):
        shapes = {"info shape list": [1, 16, 16], "info shape 2": (16, 16), "info shape 0": (1, 0, 16)}
        lengths = {"info length text": "20", "info length negative": -1}
        if FAULT != "info none":
            self.info = vpbench.DatasetInfo(shapes.get(FAULT, (1, 16, 16)), lengths.get(FAULT))

    def ids(self, split, *, n_frames):
        wrong = {"ids generator": (i for i in range(5)), "ids none": None, "ids text": ["a", "b"], "ids a text": "abc"}
        return wrong.get(FAULT, range(5))

    def clips(self, split, ids, times):
        frames = np.zeros((*times.shape, 1, 16, 16), np.uint8)
        clips = {"frames": frames, "times": times, "ids": ids}
        match FAULT:
            case "clips none":
                return None
            case "clips tuple":
                return frames, times
            case "clips list":
                clips["frames"] = frames.tolist()
            case "clips others":
                clips["ids"] = [9] * len(ids)
            case "truth short":
                clips["truth"] = {"place": np.zeros(1)}
            case "truth list":
                clips["truth"] = {"place": [0.0] * len(ids)}
            case "truth none":
                clips["truth"] = None
        return vpbench.Clips(**clips)

    def fingerprint(self, split):
        return {"fingerprint none": None, "fingerprint number": 3, "fingerprint empty": ""}.get(FAULT, "abc")

    def left_out(self, split, *, n_frames):
        return {"left out none": None, "left out lines": "one of two files\nis too short"}.get(FAULT, "")


class Error:
    def __init__(self, config):
        pass

    def why_not(self):
        return {"why not number": 3, "why not lines": "no weights:\nset path"}.get(FAULT, "")

    def statistics(self, scored):
        absolute = (scored.predicted - scored.target).abs().mean((2, 3, 4))
        wrong = {
            "statistics none": None,
            "statistics list": [absolute],
            "statistics array": {"absolute": absolute.cpu().numpy()},
            "statistics other": {"error": absolute},
            "statistics number": {"absolute": 1.0},
            "statistics complex": {"absolute": absolute.to(torch.complex64)},
        }
        return wrong.get(FAULT, {"absolute": absolute})

    def score(self, means):
        wrong = {"score none": None, "score list": [1.0], "score text": "x", "score number": np.float64(1.0)}
        return wrong.get(FAULT, means["absolute"])


class Unspeakable(Exception):
    """What says what went wrong goes wrong itself."""

    def __str__(self):
        raise RuntimeError


class Model:
    def __init__(self, config, *, frame_shape, context_length):
        pass

    def predict(self, context, target_times):
        if FAULT == "predict unspeakable":
            raise Unspeakable
        return context.frames[:, -1:].repeat(1, target_times.shape[1], 1, 1, 1)
