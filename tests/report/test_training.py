"""Budget curves on the page: the numbers of the records, in charts, in tables, and nowhere where there are none."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from vpbench.report import page
from vpbench.results import write_record

CONTENDERS = ("alpha", "beta")


def data_of(html):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, flags=re.DOTALL)
    return json.loads(text)


@pytest.fixture(scope="session")
def trained(make, training):
    """A contender that was trained."""

    def trained(name, level=1.0, *, horizon=10, seed=0, **said):
        return make(name, level, horizon=horizon, learns="weights", trained=True, training=training(**said), seed=seed)

    return trained


@pytest.fixture(scope="session")
def trained_page(written, make, trained):
    """Two trained contenders, which saw 32,000 and 60,800 sequences and were validated apart, and a floor, twice."""
    records = []
    for horizon in (10, 20):
        records.append(make("black", 3.0, role="floor", horizon=horizon))
        records.append(trained("alpha", 0.6, horizon=horizon, psnrs=np.linspace(12, 20, 20)))
        records.append(trained("beta", 1.0, horizon=horizon, updates=1900, psnrs=np.linspace(11, 18, 20)))
    return written(records)


def part(tab):
    return tab.locator(".board.open .training-part")


def ink(tab, chart, colour):
    """How many pixels of a chart have about this colour (r, g, b)."""
    return tab.evaluate(
        """([chart, colour]) => {
            const canvas = document.querySelector(`.board.open [data-chart="${chart}"] canvas`);
            const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
            copy.drawImage(canvas, 0, 0);
            const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
            let found = 0;
            for (let i = 0; i < data.length; i += 4) {
                const far = Math.max(...colour.map((value, c) => Math.abs(value - data[i + c])));
                if (far < 12 && data[i + 3] > 250) found += 1;
            }
            return found;
        }""",
        [chart, colour],
    )


def colours(tab):
    """The colour of each contender's swatch."""
    found = {}
    for name in CONTENDERS:
        swatch = tab.locator(".chips li", has_text=name).locator("svg")
        found[name] = [
            int(value) for value in re.findall(r"\d+", swatch.evaluate("(svg) => getComputedStyle(svg).stroke"))[:3]
        ]
    return found


def test_the_charts_hold_the_histories_of_the_records(trained_page, training):
    data = data_of(trained_page.read_text())
    for board in data["boards"].values():
        (chart,) = board["training"]
        assert chart["title"] == "balls 10→10, size=8"
        lines = {data["models"][line["model"]]["label"]: line for line in chart["lines"]}
        assert sorted(lines) == ["alpha", "beta"]
        history = training(psnrs=np.linspace(12, 20, 20))["history"]
        assert lines["alpha"]["sequences"] == [entry["sequences"] for entry in history]
        assert lines["alpha"]["seconds"] == [entry["seconds"] for entry in history]
        assert lines["alpha"]["psnr"] == pytest.approx([-10 * math.log10(e["val_mse"]) for e in history], abs=1e-4)


def test_without_a_history_there_is_no_section(written, make, trained):
    html = written([make("a"), trained("b", 2.0)]).read_text()
    assert 'class="training-part"' not in html
    assert "<dt>Budget curves</dt>" not in html
    assert "validation" not in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL).lower()
    assert [board["training"] for board in data_of(html)["boards"].values()] == [[]]


def test_the_page_says_whether_budgets_were_equal_and_what_a_point_is(written, trained):
    html = written([trained("a", psnrs=(10, 12)), trained("b", 2.0, psnrs=(11, 12))]).read_text()
    assert html.count("All trained contenders saw 32,000 sequences each, in 1.7 min on Quiet.") == 1
    assert "of the moving average of the weights. The learning rate falls to the end of each budget, so a point" in html
    assert "1,000 updates of 32 sequences, float32, 2 threads, seed 0" in html  # with the facts of the model


def test_seconds_of_several_devices_are_said_to_be_no_equal_budgets(written, trained):
    records = [trained("a", psnrs=(10, 12)), trained("b", 2.0, psnrs=(11, 12), device="NVIDIA H100")]
    html = written(records).read_text()
    assert "Seconds are of different devices (NVIDIA H100, Quiet), so equal times are not equal budgets." in html
    assert "after so much time" not in html


def test_both_charts_are_drawn_in_the_colours_of_the_models(visit, trained_page):
    tab = visit(trained_page)
    assert part(tab).locator(".chart-figure:visible").count() == 2
    for chart in ("training-0-sequences", "training-0-seconds"):
        for colour in colours(tab).values():
            assert ink(tab, chart, colour) > 50
    tab.get_by_role("link", name="10→20").click()
    assert part(tab).locator("canvas:visible").count() == 2


def test_validations_are_joined_by_a_line_though_those_of_others_lie_between(visit, written, trained):
    few = [trained("alpha", psnrs=(10, 11, 12)), trained("beta", 2.0, updates=700, psnrs=(12, 13, 14))]
    tab = visit(written(few))
    for colour in colours(tab).values():
        assert ink(tab, "training-0-sequences", colour) > 150  # three dots have less than fifty


def test_what_is_not_shown_is_neither_drawn_nor_in_the_tables(visit, trained_page):
    tab = visit(trained_page)
    colour = colours(tab)["alpha"]
    before = ink(tab, "training-0-sequences", colour)
    tab.get_by_label("Filter models").fill("beta")
    tab.wait_for_timeout(50)
    assert ink(tab, "training-0-sequences", colour) < before / 10
    part(tab).locator("summary").click()
    for table in part(tab).locator("table").all():
        assert table.locator("tbody tr:visible th").all_inner_texts() == ["beta"]


def test_a_model_that_is_highlighted_says_where_its_training_ended(visit, trained_page):
    tab = visit(trained_page)
    part(tab).scroll_into_view_if_needed()
    tab.locator(".board.open table.scores").get_by_role("button", name="alpha").focus()
    part(tab).scroll_into_view_if_needed()
    tab.wait_for_function("() => document.querySelector('.board.open .training-part .readout').textContent !== ''")
    assert part(tab).locator(".readout").all_inner_texts() == [
        "alpha: 20.00 dB after 32 k sequences",
        "alpha: 20.00 dB after 1.7 min",
    ]
    box = part(tab).locator(".chart-figure").first.bounding_box()
    tab.evaluate("() => document.activeElement.blur()")
    tab.wait_for_function("() => document.querySelector('.board.open .training-part .readout').textContent === ''")
    assert part(tab).locator(".chart-figure").first.bounding_box() == box  # nothing moves when it comes and goes


def test_pointing_at_a_curve_says_what_the_model_had_come_to_by_then(visit, trained_page):
    tab = visit(trained_page)
    over = part(tab).locator(".u-over").first
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    found = {}
    for share in np.linspace(0.02, 0.98, 30):
        tab.mouse.move(box["x"] + box["width"] * 0.31, box["y"] + box["height"] * float(share))
        if match := re.fullmatch(
            r"(\w+): ([\d.]+) dB after (.*) sequences", part(tab).locator(".readout").first.inner_text()
        ):
            found[match[1]] = (match[2], match[3])
    # at 18.8 k sequences, by validations each 1,600 of alpha's and each 3,040 of beta's
    assert found == {
        "alpha": (f"{np.linspace(12, 20, 20)[11]:.2f}", "19.2 k"),
        "beta": (f"{np.linspace(11, 18, 20)[5]:.2f}", "18.2 k"),
    }


def test_the_tables_can_be_read_without_scripts(visit, trained_page):
    tab = visit(trained_page, java_script_enabled=False)
    first = tab.locator(".training-part").first
    first.locator("summary").click()
    sequences, seconds = first.locator("table").all()
    assert sequences.locator("thead th").all_inner_texts() == ["model", "3.2 k", "8 k", "16 k", "32 k", "at its end"]
    assert seconds.locator("thead th").all_inner_texts() == ["model", "10 s", "25 s", "50 s", "1.7 min", "at its end"]
    assert sequences.locator("tr", has_text="beta").locator("td").last.inner_text() == "18.00"
    assert first.locator(".chart").count() == 0


def test_where_seconds_were_not_written_down_there_is_no_chart_over_them(visit, written, trained):
    old = trained("old", psnrs=(10, 12, 13))
    for entry in old.about["training"]["history"]:
        del entry["seconds"], entry["sequences"]
    tab = visit(written([old]))
    assert part(tab).locator(".chart-figure").count() == 1
    assert part(tab).locator("table").count() == 1
    new = visit(written([old, trained("new", 2.0, psnrs=(10, 12, 13))]))
    assert part(new).locator(".chart-figure").count() == 2
    assert "Not drawn over seconds, as these were not written down: old." in part(new).inner_text()


def test_single_and_huge_points_can_be_drawn(visit, written, trained):
    single = [{"sequences": 7, "seconds": 1, "val_mse": 0.1}]
    huge = [{"sequences": 1e307 * k, "seconds": 1e307 * k, "val_mse": 0.1**k} for k in (1, 2, 17)]
    tab = visit(written([trained("single", history=single), trained("huge", 2.0, history=huge, context=5)]))
    assert part(tab).locator("canvas").count() == 4


def test_fifty_trainings_make_the_page_little_larger(tmp_path, make, training):
    sizes = []
    for scores in ((), np.linspace(10, 20, 20)):
        folder = tmp_path / str(len(scores))
        for index in range(50):
            said = training(updates=1000 + index, psnrs=scores)
            write_record(folder, make(f"model-{index}", learns="weights", trained=True, training=said))
        sizes.append(len(page(folder, {}).html))  # without ranks, which take long
    assert sizes[1] - sizes[0] < 100_000
