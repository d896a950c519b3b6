"""Size of the page and time until it is drawn, with 50 records of 100 steps, in a real Chromium.

python benchmarks/report_page.py

Two cases: all records on one board (the widest matrix, the most lines in a chart), and 10 models at 5 horizons. Every
model keeps 5 clips of 100 frames, two of them shared by all and three of its own, and predicts another clip than the
true one, so every picture is as sharp as the data: the largest they can be. Every contender has a budget curve of 20
validations, at numbers of sequences that no other has.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from vpbench import exhibits, registry
from vpbench.instances import configured, open_dataset
from vpbench.report import page
from vpbench.results import Record, identity_of, write_record
from vpbench.stats import interval, score_per_step

STEPS, CONTEXT, CLIPS = 100, 10, 100
OWN = ("best", "median", "worst")
ROUNDS = 5

#: Metrics that make the table wide: eight, all of squared errors, under two conventions.
METRICS = {f"metric-{index}": "ours" if index < 5 else "theirs" for index in range(7)}
SCORERS = {name: lambda means: -10 * np.log10(means["squared_error"]) for name in ("psnr-pooled", *METRICS)}

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def made(index: int, horizon: int) -> Record:
    """A record with `index` for its quality."""
    random = np.random.default_rng([index, horizon])
    errors = random.lognormal(-3, 0.4, (CLIPS, horizon)) * (1 + index / 20)
    per_clip = errors.mean(axis=1)
    scores = {}
    for name in SCORERS:
        found = interval({"squared_error": per_clip}, SCORERS[name])
        values, stderr = score_per_step({"squared_error": errors}, SCORERS[name])
        scores[name] = {
            "version": "1",
            "definition": f"{name} of the mean squared error.",
            "unit": "dB",
            "convention": METRICS.get(name, "ours"),
            "higher_is_better": True,
            "distribution": "d",
            "statistics": ["d/squared_error"],
            **found._asdict(),
            "n": CLIPS,
            "per_step": values.tolist(),
            "per_step_stderr": stderr.tolist(),
        }
    model = {"name": f"model-{index}", "version": "1", "config": {}, "weights_sha256": None}
    dataset = {"name": "moving-mnist", "version": "1", "config": {}, "fingerprint": "0" * 64}
    task = {"kind": "extrapolate", "context": CONTEXT, "horizon": horizon}
    return Record(
        identity=identity_of(model=model, dataset=dataset, split="test", task=task, clips=CLIPS, seed=0),
        status="ok",
        about={"role": "floor", "learns": "nothing"} if index % 10 == 0 else trained(index),
        scores=scores,
        statistics={"d/squared_error": per_clip.tolist()},
        cost={"frames_per_s": 1000.0, "parameters": 1_000_000, "rollout_horizon": horizon},
        machine={"device": "cpu", "device_name": "benchmark"},
    )


def trained(index: int) -> dict[str, object]:
    """What a record says of a training with as many validations as there are."""
    every = 100 + index
    history = [
        {
            "update": every * k,
            "sequences": every * k * 32,
            "seconds": every * k / 10,
            "loss": 0.1,
            "val_mse": 0.1 / (k + index),
        }
        for k in range(1, 21)
    ]
    training = {"updates": every * 20, "batch_size": 32, "device": "benchmark", "context": CONTEXT, "horizon": CONTEXT}
    training |= {"sequences": every * 640, "seconds": every * 2.0, "history": history}
    return {"role": "contender", "learns": "weights", "trained": True, "training": training}


def true_clips(n: int) -> np.ndarray:
    """uint8 (n, context and steps, 1, 64, 64) of Moving MNIST."""
    offered = registry.load().datasets()["moving-mnist"]
    dataset = open_dataset(offered, configured(offered, {}))
    ids = list(dataset.ids("test", n_frames=CONTEXT + STEPS))[:n]
    times = np.tile(np.arange(CONTEXT + STEPS, dtype=np.float64), (n, 1))
    return np.asarray(dataset.clips("test", ids, times).frames)


def exhibit(record: Record, index: int, horizon: int, truth: np.ndarray) -> exhibits.Exhibit:
    """Two clips that all show, three of its own."""
    places = [0, 1, *(2 + (3 * index + k) % (len(truth) - 2) for k in range(3))]
    clips = tuple(
        exhibits.ExhibitClip(
            id=place,
            why=("fixed",) if k < 2 else (OWN[k - 2],),
            value=0.1,
            truth=truth[place, : CONTEXT + horizon],
            # shifted, so that no two models have a picture in common
            predicted=np.roll(truth[(place + 1) % len(truth), CONTEXT : CONTEXT + horizon], index + 1, axis=-1),
        )
        for k, place in enumerate(places)
    )
    return exhibits.Exhibit(cell=record.cell, context=CONTEXT, horizon=horizon, metric="psnr-pooled", clips=clips)


def write(folder: Path, cells: list[tuple[int, int]], truth: np.ndarray | None) -> None:
    for index, horizon in cells:
        record = made(index, horizon)
        path = write_record(folder, record)
        if truth is not None:
            exhibits.write(path, exhibit(record, index, horizon, truth))


def drawn(browser: object, path: Path) -> tuple[float, float]:
    """Seconds until all charts of the open board are drawn, and from asking for clips until these are."""
    tab = browser.new_page()  # type: ignore[attr-defined]
    start = time.perf_counter()
    tab.goto(path.as_uri())
    tab.wait_for_selector("html.ready", state="attached")
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    ready = time.perf_counter() - start
    clips = 0.0
    if tab.locator(".board.open .player").is_visible():
        start = time.perf_counter()
        tab.locator(".board.open .player").scroll_into_view_if_needed()
        tab.wait_for_selector(".board.open .tile canvas")
        clips = time.perf_counter() - start
    tab.close()
    return ready, clips


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default=os.environ.get("VPBENCH_CHROMIUM") or shutil.which("chromium"))
    arguments = parser.parse_args()
    if not arguments.chromium:
        parser.error("no chromium found: name one with --chromium")
    truth = true_clips(60)
    one_board = [(index, STEPS) for index in range(50)]
    five_boards = [(index, horizon) for index in range(10) for horizon in (20, 40, 60, 80, STEPS)]
    cases = {
        "one board, no clips": (one_board, None),
        "one board": (one_board, truth),
        "five boards": (five_boards, truth),
    }
    print(f"50 records of up to {STEPS} steps, {len(SCORERS)} metrics; median of {ROUNDS} visits\n")
    print("| | page MB | of which clips | made in s | drawn in s | clips in s |\n|---|---|---|---|---|---|")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=arguments.chromium, args=ARGUMENTS)
        for name, (cells, pictures) in cases.items():
            results = Path(folder) / name.replace(" ", "-")
            write(results, cells, pictures)
            start = time.perf_counter()
            html = page(results, SCORERS).html
            took = time.perf_counter() - start
            path = Path(folder) / "page.html"
            path.write_text(html)
            pictured = len(html.partition('id="sheets">')[2].partition("</script>")[0])
            times = [drawn(browser, path) for _ in range(ROUNDS)]
            ready, clips = (statistics.median(column) for column in zip(*times, strict=True))
            print(
                f"| {name} | {len(html.encode()) / 1e6:.1f} | {pictured / 1e6:.1f} | {took:.1f} | {ready:.2f} "
                f"| {clips:.2f} |",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()
