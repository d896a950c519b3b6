"""The page as people use it, in a real Chromium. Every visit fails on any console message, request or dialog."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from vpbench.report import page
from vpbench.results import write_record


def names(tab):
    """Labels of the rows of the open board's table that can be seen, in order."""
    rows = tab.locator(".board.open table.scores tbody tr:visible .pin bdi")
    return rows.all_inner_texts()


def column(tab, header):
    """The texts of a column that can be seen."""
    cells = tab.locator(".board.open table.scores thead tr").last.locator("th")
    (index,) = [i for i, text in enumerate(cells.all_inner_texts()) if text.startswith(header)]
    rows = tab.locator(".board.open table.scores tbody tr:visible")
    return [rows.nth(i).locator("th, td").nth(index).locator(".value").inner_text() for i in range(rows.count())]


def sorter(tab, name):
    return tab.locator(".board.open table.scores").get_by_role("button", name=re.compile(f"^{name}"))


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


def line_colour(tab, model):
    """The colour of a model's swatch."""
    text = tab.evaluate(
        """(model) => getComputedStyle(document.querySelector(`.chips [data-model="${model}"] svg`)).stroke""", model
    )
    return [int(value) for value in re.findall(r"\d+", text)[:3]]


def key_of(tab, label):
    return tab.evaluate(
        """(label) => Object.entries(JSON.parse(document.getElementById("data").textContent).models)
            .find(([, model]) => model.label === label)[0]""",
        label,
    )


# ---------------------------------------------------------------------------------------------------------------- table


def test_sorting_by_a_column_puts_the_best_first_then_the_worst_and_what_has_none_last(visit, some_page):
    tab = visit(some_page)
    assert names(tab) == ["oracle", "alpha", "beta, 2 seeds", "gamma", "black", "delta"]
    header = sorter(tab, "mse")
    header.click()
    values = [float(text) for text in column(tab, "mse")]
    assert values == sorted(values)
    cell = header.locator("xpath=..")
    assert cell.get_attribute("aria-sort") == "ascending"
    header.click()
    assert [float(text) for text in column(tab, "mse")] == values[::-1]
    assert cell.get_attribute("aria-sort") == "descending"
    assert tab.locator(".board.open th[aria-sort]").count() == 1
    assert tab.locator(".board.open [data-says=sort]").inner_text() == "Sorted by mse, largest first"
    for _ in range(2):
        sorter(tab, "headroom").click()
        assert column(tab, "headroom")[-2:] == ["–", "–"]
    sorter(tab, "model").click()
    assert names(tab) == sorted(names(tab))


def test_a_metric_with_an_ideal_is_sorted_by_how_far_from_it_a_row_is(visit, some_page):
    tab = visit(some_page)
    sorter(tab, "sharpness").click()
    values = [abs(float(text) - 1) for text in column(tab, "sharpness")]
    assert values == sorted(values)


def test_filtering_leaves_matching_models_in_table_chips_and_matrix(visit, some_page):
    tab = visit(some_page)
    tab.get_by_label("Filter models").fill("ta")
    assert names(tab) == ["beta, 2 seeds", "delta"]
    assert tab.locator(".chips li:visible").all_inner_texts() == ["beta, 2 seeds", "delta"]
    assert tab.locator(".board.open table.matrix tbody tr:visible th").all_inner_texts() == ["beta, 2 seeds", "delta"]
    assert tab.locator(".board.open table.matrix tbody tr:visible").first.locator("td:visible").count() == 2
    assert tab.locator("#count").inner_text() == "2 of 6 models shown"
    tab.get_by_label("Filter models").fill("FLOOR")  # roles count too
    assert names(tab) == ["black"]
    tab.get_by_label("Filter models").fill("")
    assert len(names(tab)) == 6


def test_a_model_that_is_unticked_leaves_the_table_the_charts_and_the_matrix(visit, some_page):
    tab = visit(some_page)
    colour = line_colour(tab, key_of(tab, "alpha"))
    before = ink(tab, "c0", colour)
    assert before > 50
    tab.get_by_role("checkbox", name="alpha").uncheck()
    assert "alpha" not in names(tab)
    assert tab.locator(".board.open table.matrix tbody tr:visible").count() == 5
    assert ink(tab, "c0", colour) < before / 10
    tab.get_by_role("checkbox", name="alpha").check()
    assert "alpha" in names(tab)
    assert ink(tab, "c0", colour) == pytest.approx(before, rel=0.05)
    tab.get_by_role("button", name="Contenders").click()
    assert names(tab) == ["alpha", "beta, 2 seeds", "gamma", "delta"]
    tab.get_by_role("button", name="None").click()
    assert names(tab) == []
    tab.get_by_role("button", name="All", exact=True).click()
    assert len(names(tab)) == 6


def test_a_metric_that_is_unticked_leaves_table_and_charts(visit, written, make):
    tab = visit(written([make("a", extra=("openstl-mse",)), make("b", extra=("openstl-mse",))]))
    group = tab.locator(".board.open [data-group]").first
    assert group.get_attribute("colspan") == "3"
    assert not sorter(tab, "openstl-mse").is_visible()  # another convention than the ranking's is folded in
    tab.get_by_text("Metrics shown").click()
    tab.get_by_label("openstl", exact=True).check()
    assert sorter(tab, "openstl-mse").is_visible()
    tab.get_by_label("mse", exact=True).uncheck()
    assert not sorter(tab, "mse").is_visible()
    assert group.get_attribute("colspan") == "2"
    assert tab.locator(".board.open .chart-figure:visible figcaption bdi").all_inner_texts() == [
        "psnr-pooled",
        "sharpness",
        "openstl-mse",
    ]


def test_limits_take_the_place_of_half_widths(visit, some_page):
    tab = visit(some_page)
    cell = tab.locator(".board.open tbody tr", has_text="alpha").first.locator("td[data-column=c0]")
    assert re.fullmatch(r"[\d.]+ ±[\d.]+", cell.inner_text())
    tab.get_by_label("limits instead of ±").first.check()
    assert re.fullmatch(r"[\d.]+ [\d.]+ to [\d.]+", cell.inner_text())


# ------------------------------------------------------------------------------------------------------ boards, curves


def test_the_switch_opens_another_board_and_the_address_names_it(visit, some_page):
    tab = visit(some_page)
    assert tab.locator(".board:visible h2").all_inner_texts() == ["balls 10→10"]
    tab.get_by_role("link", name="10→20").click()
    assert tab.locator(".board:visible h2").all_inner_texts() == ["balls 10→20"]
    assert tab.url.endswith("#board-2")
    assert tab.locator("[aria-current]").all_inner_texts() == ["10→20"]
    again = visit(some_page, fragment="#board-2")
    assert again.locator(".board:visible h2").all_inner_texts() == ["balls 10→20"]


def test_what_is_gone_to_is_not_under_the_bar_of_boards_even_where_that_has_several_lines(visit, written, make):
    path = written([make("a", horizon=horizon) for horizon in range(1, 25)])
    tab = visit(path, width=1000)
    bar = tab.locator("nav.switch")
    assert bar.bounding_box()["height"] > 90
    for name in ("How to read", "Definitions"):
        tab.get_by_role("link", name=name, exact=True).click()
        tab.wait_for_timeout(600)
        bottom = bar.bounding_box()["y"] + bar.bounding_box()["height"]
        assert tab.get_by_role("heading", name=name).bounding_box()["y"] >= bottom
        assert bar.bounding_box()["y"] == 0


def test_pointing_at_a_row_highlights_the_model_everywhere(visit, some_page):
    tab = visit(some_page)
    alpha = key_of(tab, "alpha")
    colour = line_colour(tab, alpha)
    others = line_colour(tab, key_of(tab, "gamma"))
    before, before_others = ink(tab, "c0", colour), ink(tab, "c0", others)
    tab.locator(".board.open .charts").scroll_into_view_if_needed()
    tab.locator(".board.open table.scores").get_by_role("button", name="alpha").focus()
    for place in (".chips", ".board.open table.scores", ".board.open table.matrix"):
        lit = tab.locator(f"{place} .lit")
        assert {lit.nth(i).get_attribute("data-model") for i in range(lit.count())} == {alpha}
    tab.wait_for_timeout(100)
    assert ink(tab, "c0", colour) > before * 1.2  # thicker
    assert ink(tab, "c0", others) < before_others / 2  # fainter
    assert "alpha at step 1: " in tab.locator(".board.open .readout").first.inner_text()


def test_a_model_that_is_pointed_at_before_its_charts_are_in_sight_is_highlighted_when_they_are(visit, some_page):
    tab = visit(some_page, height=300)
    pin = tab.locator(".board.open table.scores").get_by_role("button", name="gamma")
    pin.click()
    tab.locator(".board.open .charts").scroll_into_view_if_needed()
    tab.wait_for_function(
        "() => document.querySelector('.board.open .readout').textContent.startsWith('gamma at step')"
    )
    box = tab.locator(".board.open .chart-figure").first.bounding_box()
    tab.keyboard.press("Escape")
    pin.blur()
    tab.wait_for_function("() => document.querySelector('.board.open .readout').textContent === ''")
    assert tab.locator(".board.open .chart-figure").first.bounding_box() == box  # nothing moves when it comes and goes


def test_a_pinned_model_stays_highlighted_until_escape(visit, some_page):
    tab = visit(some_page)
    pin = tab.locator(".board.open table.scores").get_by_role("button", name="gamma")
    pin.click()
    assert pin.get_attribute("aria-pressed") == "true"
    tab.mouse.move(2, 2)
    assert tab.locator(".board.open table.scores tr.lit .pin bdi").all_inner_texts() == ["gamma"]
    tab.keyboard.press("Escape")
    pin.blur()
    assert tab.locator(".lit").count() == 0


def test_pointing_at_a_curve_highlights_its_model_and_moves_all_charts_to_its_step(visit, some_page):
    tab = visit(some_page)
    over = tab.locator(".board.open [data-chart=c0] .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    found = set()
    for share in np.linspace(0.02, 0.98, 40):
        tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * float(share))
        found.update(tab.locator(".board.open table.scores tr.lit .pin bdi").all_inner_texts())
    assert {"alpha", "delta", "oracle"} <= found
    tab.wait_for_function("() => document.querySelector('.board.open .step').value !== '1'")
    step = int(tab.locator(".board.open .step").input_value())
    assert step in (5, 6)
    lefts = tab.evaluate(
        "() => [...document.querySelectorAll('.board.open .u-cursor-x')].map((line) => line.style.transform)"
    )
    assert len({re.search(r"[\d.]+", left)[0].split(".")[0] for left in lefts[1:]}) == 1


def test_the_table_of_a_step_has_the_numbers_of_the_records(visit, some_page, some_records):
    tab = visit(some_page)
    slider = tab.locator(".board.open .step")
    slider.fill("7")
    tab.get_by_text("Scores at step").first.click()
    row = tab.locator(".board.open .step-table tr", has_text="alpha")
    (record,) = [r for r in some_records() if r.model["name"] == "alpha" and r.task["horizon"] == 10]
    score = record.scores["psnr-pooled"]
    tab.wait_for_function("() => document.querySelector('.board.open .step-value').textContent === '7'")
    value, half = (float(text) for text in row.locator("td").first.inner_text().split(" ± "))
    assert value == pytest.approx(score["per_step"][6], abs=0.01)
    assert half == pytest.approx(1.96 * score["per_step_stderr"][6], rel=0.06)


# -------------------------------------------------------------------------------------------------------------- matrix


def test_the_matrix_says_of_each_pair_what_is_known(visit, some_page):
    tab = visit(some_page)
    rows = tab.locator(".board.open table.matrix tbody tr")
    cell = rows.filter(has=tab.locator("th", has_text="alpha")).locator("td.verdict-better").first
    cell.hover()
    said = tab.locator(".board.open [data-says=pair]").inner_text()
    assert re.fullmatch(
        r"alpha − .*: \+[\d.]+ dB, 95 % interval \+[\d.]+ to \+[\d.]+; alpha is significantly better, Holm p .*", said
    )
    assert "significantly better" in cell.text_content()  # not by colour alone


# ------------------------------------------------------------------------------------------------------- keyboard alone


def test_everything_can_be_done_with_the_keyboard_alone(visit, some_page):
    tab = visit(some_page)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the board"
    seen = []
    for _ in range(60):
        tab.keyboard.press("Tab")
        seen.append(
            tab.evaluate(
                """() => {
                    const element = document.activeElement;
                    const style = getComputedStyle(element);
                    const shown = style.outlineStyle !== "none" || element.name === "theme";
                    return [element.closest("[class]")?.className ?? "", element.tagName, shown];
                }"""
            )
        )
        if tab.evaluate("document.activeElement.matches('.board.open table.matrix td')"):
            break
    assert all(shown for _, _, shown in seen), seen
    tags = [tag for _, tag, _ in seen]
    assert tags[-1] == "TD"  # the matrix is reached, and is one stop
    assert {"A", "INPUT", "BUTTON", "SUMMARY", "DIV", "TD"} <= set(tags)
    before = tab.locator(".board.open [data-says=pair]").inner_text()
    tab.keyboard.press("ArrowDown")
    after = tab.locator(".board.open [data-says=pair]").inner_text()
    assert after != before
    tab.keyboard.press("ArrowUp")
    assert tab.locator(".board.open [data-says=pair]").inner_text() == before
    sorter(tab, "mse").focus()
    tab.keyboard.press("Enter")
    assert sorter(tab, "mse").locator("xpath=..").get_attribute("aria-sort") == "ascending"
    tab.get_by_role("checkbox", name="alpha").focus()
    tab.keyboard.press("Space")
    assert "alpha" not in names(tab)
    tab.locator(".board.open .step").focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("() => document.querySelector('.board.open .step-value').textContent === '2'")
    tab.get_by_role("link", name="10→20").focus()
    tab.keyboard.press("Enter")
    assert tab.locator(".board:visible h2").all_inner_texts() == ["balls 10→20"]


# ------------------------------------------------------------------------------------------------------ themes, phones


def background(tab):
    return [int(value) for value in re.findall(r"\d+", tab.evaluate("getComputedStyle(document.body).backgroundColor"))]


def test_dark_follows_the_system_and_can_be_chosen(visit, some_page):
    assert min(background(visit(some_page))) > 200
    dark = visit(some_page, color_scheme="dark")
    assert max(background(dark)) < 60
    dark.get_by_text("Light", exact=True).click()
    assert min(background(dark)) > 200
    light = visit(some_page)
    colour = line_colour(light, key_of(light, "alpha"))
    light.get_by_text("Dark", exact=True).click()
    assert max(background(light)) < 60
    light.wait_for_timeout(50)
    assert line_colour(light, key_of(light, "alpha")) != colour
    assert ink(light, "c0", line_colour(light, key_of(light, "alpha"))) > 50  # canvases follow


CONTRASTS = """() => {
    const parse = (text) => {
        const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        probe.fillStyle = text;
        probe.fillRect(0, 0, 1, 1);
        return [...probe.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => {
        const part = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const bad = new Set();
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.getClientRects().length) continue;
        if (element.closest("script, style, .hidden-text, option")) continue;
        let back = element;
        while (back && parse(getComputedStyle(back).backgroundColor)[3] < 255) back = back.parentElement;
        const [one, two] = [light(parse(getComputedStyle(element).color)),
            light(parse(getComputedStyle(back ?? document.body).backgroundColor))];
        const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (contrast < 4.5) bad.add(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
    }
    return [...bad];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_of_wcag_aa(visit, written, make, training, scheme):
    records = [make("black", 3.0, role="floor"), make("oracle", 0.5, role="ceiling"), make("cheat", 0.2)]
    records += [make("bad", 4.0), make("near", 3.01), make("fair", training=training(psnrs=(10, 12)))]
    tab = visit(written(records), color_scheme=scheme)
    tab.locator(".training-part summary").click()
    assert tab.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("width", [360, 768])
def test_a_phone_scrolls_tables_inside_their_boxes_and_never_the_page(visit, written, make, training, width):
    long = "a-model-whose-name-goes-on-and-on-" * 2
    about = {"assumptions": "x" * 200, "training": training(psnrs=(10, 12))}
    records = [make(f"{long}{i}", 1 + i / 5, **about) for i in range(4)]
    tab = visit(written(records), width=width, height=740)
    tab.locator(".training-part summary").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for box in tab.locator(".board.open .scroll").all():
        if box.is_visible():
            assert box.evaluate("(box) => getComputedStyle(box).overflowX") == "auto"
    tab.get_by_text("Metrics shown").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_all_boards_can_be_read(visit, some_page):
    tab = visit(some_page, java_script_enabled=False)
    assert tab.locator(".board:visible").count() == 2
    assert tab.locator("table.matrix:visible").count() == 2
    assert not tab.locator(".controls").is_visible()


# ------------------------------------------------------------------------------------------------------------- hostile

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\"'`${alert(3)}&lt;\u2028\u202eأبجد🎈]]>"


def test_whatever_a_record_says_is_text(visit, written, make, training):
    about = {"summary": HOSTILE, "assumptions": HOSTILE, "caveat": HOSTILE, "role": HOSTILE, "cites": [HOSTILE]}
    about["not_computed"] = {HOSTILE: HOSTILE}
    trained_on = {"name": HOSTILE, "config": {HOSTILE: HOSTILE}}
    about["training"] = training(psnrs=(10, 12), dataset=trained_on, device=HOSTILE, precision=HOSTILE)
    records = [
        make("honest", 1.0),
        make("evil", 2.0, unit=HOSTILE, definition=HOSTILE, convention=HOSTILE, **about),
    ]
    for record in records:
        record.identity["dataset"]["version"] = HOSTILE
        record.machine["device_name"] = HOSTILE
        record.software[HOSTILE] = HOSTILE
        record.identity["model"]["config"] = {HOSTILE: HOSTILE}
    tab = visit(written(records))
    tab.get_by_label("Filter models").fill("evil")
    tab.locator(".board.open table.scores .pin:visible").first.click()
    tab.locator(".board.open table.scores .sort:visible").nth(2).click()
    tab.get_by_text("Scores at step").first.click()
    for details in tab.locator("details").all():
        details.evaluate("(details) => { details.open = true; }")
    shown = tab.locator("body").inner_text()
    assert shown.count("<script>alert(1)</script>") > 10
    assert tab.locator("img, main script").count() == 0


# --------------------------------------------------------------------------------------------------------------- speed


def test_fifty_records_of_a_hundred_steps_are_drawn_soon(visit, tmp_path, make, scorers):
    """The benchmark has the numbers; this one leaves room for machines that are slow or busy."""
    for horizon in (99, 100):
        for index in range(25):
            write_record(tmp_path / "results", make(f"model-{index}", 1 + index / 10, horizon=horizon, clips=4))
    html = page(tmp_path / "results", scorers).html
    assert len(html.encode()) < 10e6
    path = tmp_path / "page.html"
    path.write_text(html)
    start = time.perf_counter()
    tab = visit(path)
    tab.wait_for_selector("html.ready", state="attached")
    assert tab.locator(".board.open .chart canvas").count() == 3
    assert ink(tab, "c0", line_colour(tab, "m0")) > 50
    assert time.perf_counter() - start < 6
