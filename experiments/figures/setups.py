"""Figure 9: the report's table beside what was measured here, of committed records."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from vpbench.published import read_published
from vpbench.results import Record, iter_records

from . import style
from .trained import ROOT

SETUPS = ((10, 10), (10, 90), (2, 18), (2, 38))
MODELS = ("latentode", "train-mean", "black", "bayes")
PUBLISHED, REPORT = ROOT / "results" / "published", "latent-ode-report.toml"


def _measured() -> dict[tuple[str, int, int], Record]:
    records, _ = iter_records(ROOT / "results")
    return {
        (str(each.model["name"]), int(each.task["context"]), int(each.task["horizon"])): each
        for each in records
        if each.status == "ok" and each.dataset["name"] == "moving-mnist" and each.task["kind"] == "extrapolate"
    }


def rows() -> list[list[str]]:
    """Model, then PSNR (mean over frames) and SSIM of each setup."""
    found = _measured()
    table: list[list[str]] = []
    for model in MODELS:
        line = [f"{model}, measured here"]
        for context, horizon in SETUPS:
            record = found.get((model, context, horizon))
            measured = record.scores if record else {}
            line.append(
                " / ".join(
                    f"{measured[name]['value']:.{digits}f}" if name in measured else "–"
                    for name, digits in (("psnr", 2), ("ssim", 3))
                )
            )
        table.append(line)
    published: dict[str, dict[tuple[int, int], dict[str, float]]] = {}
    printed, _ = read_published(PUBLISHED)
    for row in (each for each in printed if each.file == REPORT):
        scores = published.setdefault(row.model, {}).setdefault((row.context, row.horizon), {})
        scores |= {key: float(value) for key, value in row.scores.items()}
    for model, setups in published.items():
        line = [f"{model}, as printed"]
        for setup in SETUPS:
            scores = setups.get(setup, {})
            line.append(" / ".join(f"{scores[name]:g}" if name in scores else "–" for name in ("psnr", "ssim")))
        table.append(line)
    return table


def figure_9() -> tuple[Figure, dict[str, Any]]:
    """A table as a picture; its numbers are those of the boards."""
    table = rows()
    figure, axes = style.panels(1, height=0.32 * (len(table) + 2))
    place = axes[0, 0]
    place.axis("off")
    heads = ["PSNR, dB / SSIM", *(f"{context}→{horizon}" for context, horizon in SETUPS)]
    drawn = place.table(cellText=table, colLabels=heads, cellLoc="center", loc="center", colWidths=[0.32, *[0.17] * 4])
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.scale(1, 1.35)
    for (row, column), cell in drawn.get_celld().items():
        cell.set_linewidth(0.4)
        cell.visible_edges = "B"
        cell.get_text().set_color(style.INK if row == 0 or "measured" in table[row - 1][0] else "#666666")
        if column == 0:
            cell.get_text().set_ha("left")
    return figure, {line[0]: line[1:] for line in table}
