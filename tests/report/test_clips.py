"""Clips on the page: what is in the sheets, which boards show them, and the player in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from vpbench.errors import RecordError
from vpbench.exhibits import Exhibit, ExhibitClip, exhibit_path, write
from vpbench.report import clips, page
from vpbench.results import write_record

CONTEXT, HORIZON, SIDE = 10, 20, 16


def flat(*levels, channels=1):
    """Frames of one level each, uint8 (T, C, SIDE, SIDE): lossy compression leaves those as they are."""
    return np.broadcast_to(np.array(levels, dtype=np.uint8)[:, None, None, None], (len(levels), channels, SIDE, SIDE))


def exhibit(*given, horizon=HORIZON, channels=1):
    """Clips as (id, why, offset of the prediction); frame k of the truth has level 5 k + 20."""
    truth = [5 * k + 20 for k in range(CONTEXT + horizon)]
    return Exhibit(
        cell="",
        context=CONTEXT,
        horizon=horizon,
        metric="psnr-pooled",
        clips=tuple(
            ExhibitClip(
                id=clip_id,
                why=why,
                value=0.1,
                truth=flat(*truth, channels=channels),
                predicted=flat(*(np.clip(np.array(truth[CONTEXT:]) + offset, 0, 255)), channels=channels),
            )
            for clip_id, why, offset in given
        ),
    )


def parts(html, name):
    (text,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', html, flags=re.DOTALL)
    return json.loads(text)


def frames_in(sheet):
    """The frames of a sheet as anyone else would cut them out: (T, H, W, 3)."""
    data = base64.b64decode(sheet["image"].removeprefix("data:image/webp;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    height, width, columns = sheet["height"], sheet["width"], sheet["columns"]
    corners = [(k // columns * height, k % columns * width) for k in range(sheet["frames"])]
    return np.stack([pixels[y : y + height, x : x + width] for y, x in corners])


@pytest.fixture(scope="module")
def page_with_clips(written, make):
    records = [make(name, level, horizon=HORIZON) for name, level in (("alpha", 1.0), ("beta", 2.0), ("gamma", 3.0))]
    kept = {
        "alpha": exhibit((3, ("fixed", "best"), 60), (7, ("worst",), 0)),
        "beta": exhibit((3, ("fixed",), -15)),
    }
    return written(records, clips=kept)


@pytest.mark.parametrize(("channels", "steps", "height", "width"), [(1, 7, 24, 16), (3, 30, 16, 16), (3, 1, 16, 40)])
def test_a_sheet_holds_every_frame_in_its_place(channels, steps, height, width):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (steps, channels, height // 8, width // 8), dtype=np.uint8)
    frames = coarse.repeat(8, axis=2).repeat(8, axis=3)
    found = frames_in(clips.sheet(frames)).astype(float)
    wanted = np.broadcast_to(frames.transpose(0, 2, 3, 1), (steps, height, width, 3)).astype(float)
    luma = np.array([0.299, 0.587, 0.114])  # what lossy WebP keeps at full resolution
    assert np.abs((found - wanted) @ luma).mean() < 8
    centres = np.abs(found - wanted)[:, 4::8, 4::8]
    assert np.median(centres) < 12


def test_a_picture_is_on_the_page_once_however_many_models_and_boards_show_it(written, make):
    records = [make(name, horizon=h, seed=0) for name in ("alpha", "beta") for h in (10, HORIZON)]
    for record in records:
        record.cost["rollout_horizon"] = HORIZON
    kept = {"alpha": exhibit((3, ("fixed", "best"), 10)), "beta": exhibit((3, ("fixed",), 20))}
    long = [record for record in records if record.task["horizon"] == HORIZON]
    short = [record for record in records if record.task["horizon"] == 10]
    path = written(long, clips=kept)
    for record in short:  # beside which nothing is kept
        write_record(path.parent / "results", record)
    html = page(path.parent / "results", {}).html
    boards = {board["name"]: board for board in parts(html, "data")["boards"].values()}
    assert len(parts(html, "sheets")) == 3  # a truth and two predictions
    for name, steps in (("balls 10→10", 10), ("balls 10→20", HORIZON)):
        (shown,) = boards[name]["clips"]
        assert shown["steps"] == steps
        assert shown["context"] == CONTEXT
        assert len(shown["predicted"]) == 2
        by = None if steps == HORIZON else HORIZON  # what is best over all steps need not be over the first ones
        assert shown["why"] == [
            {"reason": "fixed", "models": [], "steps": None},
            {"reason": "best", "models": ["alpha"], "steps": by},
        ]


def test_clips_of_a_rollout_that_is_not_that_of_the_record_are_not_shown(written, make):
    short = make("alpha", horizon=10)  # a rollout of its own
    path = written([make("alpha", horizon=HORIZON)], clips={"alpha": exhibit((3, ("fixed",), 10))})
    write_record(path.parent / "results", short)
    boards = parts(page(path.parent / "results", {}).html, "data")["boards"].values()
    assert {board["name"]: len(board["clips"]) for board in boards} == {"balls 10→10": 0, "balls 10→20": 1}


def test_clips_that_all_models_share_come_first_and_stay_longest(tmp_path, make):
    kept = []
    for name, own in (("alpha", 5), ("beta", 6)):
        record = make(name, horizon=HORIZON)
        noise = np.random.default_rng(own).integers(0, 256, (4, CONTEXT + HORIZON, 1, SIDE, SIDE), dtype=np.uint8)
        given = tuple(
            ExhibitClip(id=clip_id, why=why, value=None, truth=noise[k], predicted=noise[k, CONTEXT:])
            for k, (clip_id, why) in enumerate([(own, ("best",)), (own + 10, ("worst",)), (0, ("fixed",))])
        )
        kept.append(clips.Kept(record, Exhibit("", CONTEXT, HORIZON, "psnr", given)))
    everything = clips.Sheets()
    assert clips.within(kept, everything)[1] == 0
    sheets = clips.Sheets()
    fitting, left_out = clips.within(kept, sheets, most=everything.size * 2 // 5)
    assert left_out == 3
    assert sheets.size < everything.size
    assert [[clip.id for clip in one.exhibit.clips] for one in fitting] == [[15, 0], [0]]


def test_a_damaged_exhibit_and_one_of_another_cell_are_named(tmp_path, make, scorers):
    damaged, foreign = (write_record(tmp_path, make(name, horizon=HORIZON)) for name in ("alpha", "beta"))
    exhibit_path(damaged).write_bytes(b"PK no more")
    write(foreign, exhibit((3, ("fixed",), 0)))
    made = page(tmp_path, scorers)
    assert [type(problem) for problem in made.problems] == [RecordError, RecordError]
    assert str(exhibit_path(damaged)) in made.html
    assert "not of the record beside it" in made.html


# ----------------------------------------------------------------------------------------------------- in a browser


def pixel(tab, tile, which):
    """The colour in the middle of a canvas of a tile."""
    return tab.evaluate(
        """([tile, which]) => {
            const figure = [...document.querySelectorAll(".board.open .tile")]
                .find((each) => each.querySelector("figcaption").textContent === tile);
            const canvas = figure.querySelectorAll("canvas")[which];
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
            copy.drawImage(canvas, 0, 0);
            return [...copy.getImageData(8, 8, 1, 1).data].slice(0, 3);
        }""",
        [tile, which],
    )


def player(tab):
    found = tab.locator(".board.open .player")
    found.scroll_into_view_if_needed()
    tab.wait_for_selector(".board.open .tile canvas")
    return found


def test_truth_models_and_differences_stand_at_the_same_frame(visit, page_with_clips):
    tab = visit(page_with_clips)
    shown = player(tab)
    assert shown.locator(".tile figcaption").all_inner_texts() == ["truth", "alpha", "beta"]  # gamma kept no clips
    frame = shown.get_by_role("slider")
    for k in (CONTEXT, CONTEXT + 7, CONTEXT + HORIZON - 1):
        frame.fill(str(k))
        assert shown.locator(".frame-value").inner_text() == f"step {k - CONTEXT + 1} of {HORIZON}"
        truth = 5 * k + 20
        assert pixel(tab, "truth", 0) == pytest.approx([truth] * 3, abs=3)
        assert pixel(tab, "truth", 1) == pytest.approx([5 * (CONTEXT - 1) + 20] * 3, abs=3)  # the last one given
        assert pixel(tab, "alpha", 0) == pytest.approx([min(truth + 60, 255)] * 3, abs=3)
        red, _, blue = pixel(tab, "alpha", 1)
        assert red > blue + 20  # too bright: orange
        red, _, blue = pixel(tab, "beta", 1)
        assert blue > red + 5  # too dark: blue
    frame.fill("2")
    assert shown.locator(".frame-value").inner_text() == f"given 3 of {CONTEXT}"
    assert pixel(tab, "alpha", 0) == pixel(tab, "truth", 0)
    assert pixel(tab, "alpha", 1) == [0, 0, 0]


def test_clips_play_pause_and_stop_with_the_board(visit, page_with_clips):
    tab = visit(page_with_clips)
    shown = player(tab)
    frame = shown.get_by_role("slider")
    start = frame.input_value()
    tab.wait_for_timeout(300)
    assert frame.input_value() == start  # nothing moves by itself
    shown.get_by_label("Speed").select_option("20")
    shown.get_by_role("button", name="Play").click()
    tab.wait_for_function(f"() => document.querySelector('.board.open .frame').value !== '{start}'")
    shown.get_by_role("button", name="Pause").click()
    stopped = frame.input_value()
    tab.wait_for_timeout(200)
    assert frame.input_value() == stopped
    frame.fill(str(CONTEXT + HORIZON - 1))
    shown.get_by_role("button", name="Play").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function(
        "() => Number(document.querySelector('.board.open .frame').value) < 10"
    )  # from the start again


def test_another_clip_shows_the_models_that_kept_it(visit, page_with_clips):
    tab = visit(page_with_clips)
    shown = player(tab)
    options = shown.get_by_label("Clip").locator("option").all_inner_texts()
    assert options == ["3: shown for every model; best of alpha", "7: worst of alpha"]
    shown.get_by_label("Clip").select_option("1")
    tab.wait_for_function("() => document.querySelectorAll('.board.open .tile').length === 2")
    assert shown.locator(".tile figcaption").all_inner_texts() == ["truth", "alpha"]
    shown.get_by_label("Clip").select_option("0")
    tab.wait_for_function("() => document.querySelectorAll('.board.open .tile').length === 3")
    tab.get_by_role("checkbox", name="alpha").uncheck()
    assert shown.locator(".tile:visible figcaption").all_inner_texts() == ["truth", "beta"]


def test_pointing_at_a_tile_highlights_its_model(visit, page_with_clips):
    tab = visit(page_with_clips)
    player(tab).locator(".tile", has_text="beta").hover()
    assert tab.locator(".board.open table.scores tr.lit .pin bdi").all_inner_texts() == ["beta"]


def test_without_kept_clips_the_page_says_so(visit, some_page):
    tab = visit(some_page)
    assert tab.locator(".board.open .no-clips").inner_text() == "No clips were kept for these records."
    assert not tab.locator(".board.open .player").is_visible()


def test_colour_clips_are_shown_in_colour(visit, written, make):
    kept = exhibit((0, ("fixed",), 0), channels=3)
    red = np.zeros((CONTEXT + HORIZON, 3, SIDE, SIDE), dtype=np.uint8)
    red[:, 0] = 200
    (clip,) = kept.clips
    kept = Exhibit("", CONTEXT, HORIZON, "psnr", (ExhibitClip(0, ("fixed",), None, red, clip.predicted),))
    tab = visit(written([make("alpha", horizon=HORIZON)], clips={"alpha": kept}))
    player(tab)
    r, g, b = pixel(tab, "truth", 0)
    assert r > 150
    assert max(g, b) < 40
