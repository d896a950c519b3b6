"""The HTML file: templates filled in, and all that a browser needs put inside.

Nothing on the page comes from elsewhere, and a Content-Security-Policy says so to the browser: scripts and styles are
those whose hashes it lists, images are data addresses, every other request is refused. Texts of plugins and files go
through the templates' escaping or into JSON that cannot end its script element.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from ..comparison import Board, boards, settings
from ..errors import UsageError, VpbenchError
from ..leaderboard import legend, training_details, training_of_row
from ..published import PublishedRow, read_published
from ..results import Record, iter_records
from ..stats import ScoreFunction
from .clips import Sheets, kept_clips, shown_clips, within
from .curves import curves, without_curves
from .elsewhere import published_tables
from .models import Model, models_of
from .view import BoardView, environment, headings, view

#: The charts are drawn by it; vendor/uplot/README.md says where it is from.
CHARTS = "uPlot 1.6.32"

#: One idea a file; they share one scope on the page, in this order.
_SCRIPTS = ("state", "theme", "switch", "filter", "table", "chart", "curves", "training", "matrix", "clips", "start")
_STYLES = ("vendor/uplot/uPlot.min.css", "assets/page.css")

#: Frames given and frames predicted that most papers report on.
_USUAL_TASK = (10, 10)

#: JSON that may stand in a script element: no tag, comment or line separator can be made of it.
_JSON_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


class Page(NamedTuple):
    """A page, and what could not go onto it."""

    html: str
    problems: list[VpbenchError]
    warnings: tuple[str, ...] = ()  #: definitions that disagree, and rows that cannot be honest; they are on the page


def page(
    results: str | Path | Sequence[str | Path],
    scorers: Mapping[str, ScoreFunction],
    *,
    metric: str | None = None,
    horizons: Iterable[int] | None = None,
    contexts: Iterable[int] | None = None,
) -> Page:
    """The page of all records in one or several results folders; the same records give the same text.

    Arguments, and what they raise, are those of `comparison.boards`. Records and kept clips that cannot be read come
    back as problems, one line each, and are named on the page. Raises `UsageError` where there is no record at all.
    """
    folders = [results] if isinstance(results, str | Path) else list(results)
    records: list[Record] = []
    problems: list[VpbenchError] = []
    for folder in folders:
        found, bad = iter_records(folder)
        records += found
        problems += bad
    if not records and not problems:
        where = ", ".join(str(folder) for folder in folders)
        raise UsageError(f"no records in {where}: make some with vpbench run, or name another folder with --results")
    shown, more = boards(records, scorers, metric=metric, horizons=horizons, contexts=contexts)
    kept, unreadable = kept_clips(records)
    problems += [*more, *unreadable]
    models = models_of(shown)
    published = _published(folders, problems)
    views = [view(board, number, models, scorers, published) for number, board in enumerate(shown, 1)]
    sheets = Sheets()
    kept, clips_left_out = within(kept, sheets)
    data = {
        "first": _first(shown, views),
        "models": {model.key: _drawn(model) for model in models.values()},
        "boards": {
            each.id: {
                "name": f"{each.dataset} {each.task}",
                "curves": curves(board, headings(board), models),
                "withoutCurves": without_curves(board),
                "training": list(each.training.charts) if each.training else [],
                "clips": shown_clips(board, kept, models, sheets),
            }
            for each, board in zip(views, shown, strict=True)
        },
    }
    html = _render(shown, views, list(models.values()), records, problems, published, data, sheets, clips_left_out)
    said = [f"{each.dataset} {each.task}: {line}" for each in views for line in (*each.left_out, *each.warnings)]
    return Page(html, problems, tuple(said))


def _published(folders: Sequence[str | Path], problems: list[VpbenchError]) -> list[PublishedRow]:
    """The published rows that lie beside records, in a folder of this name."""
    rows: list[PublishedRow] = []
    for folder in folders:
        if any((place := Path(folder) / "published").glob("*.toml")):
            found, bad = read_published(place)
            rows += found
            problems += bad
    return rows


def _first(shown: Sequence[Board], views: Sequence[BoardView]) -> str:
    """The board to open: one with a contender, of the task that most papers report on, else of the longest horizon."""

    def order(index: int) -> tuple[bool, bool, bool, int]:
        board = shown[index]
        contested = any(row.role not in ("floor", "ceiling") for row in board.rows)
        context, horizon = board.task.get("context"), board.task.get("horizon")
        usual = (context, horizon) == _USUAL_TASK
        return (contested, usual, horizon == _USUAL_TASK[1], horizon if isinstance(horizon, int) else 0)

    return views[max(range(len(views)), key=order)].id if views else ""


def _drawn(model: Model) -> dict[str, Any]:
    return {"label": model.label, "role": model.role, "colour": model.colour, "dash": list(model.dash)}


def _render(
    shown: Sequence[Board],
    views: Sequence[BoardView],
    models: Sequence[Model],
    records: Sequence[Record],
    problems: Sequence[VpbenchError],
    published: Sequence[PublishedRow],
    data: Mapping[str, Any],
    sheets: Sheets,
    clips_left_out: int,
) -> str:
    here = files(__package__)
    style = "\n".join(here.joinpath(name).read_text(encoding="utf-8") for name in _STYLES)
    library = here.joinpath("vendor/uplot/uPlot.iife.min.js").read_text(encoding="utf-8")
    own = "\n".join(here.joinpath(f"assets/{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS)
    script = f'{library}\n(() => {{\n"use strict";\n{own}\n}})();'
    early = 'document.documentElement.classList.add("js");'
    environment_ = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: here.joinpath("templates", name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    datasets: dict[str, list[BoardView]] = {}
    for each in views:
        datasets.setdefault(each.dataset, []).append(each)
    return environment_.get_template("page.html").render(
        policy=_policy(scripts=[early, script], styles=[style]),
        style=Markup(style),
        early=Markup(early),
        script=Markup(script),
        data=_json(data),
        sheets=_json(sheets.made),
        charts=CHARTS,
        views=views,
        datasets=datasets,
        models=models,
        model_facts=_model_facts(shown),
        legend=legend(shown) if shown else [],
        published=published_tables(shown, published),
        records=records,
        environment=environment(records),
        problems=[str(problem) for problem in problems],
        has_clips=bool(sheets.made),
        clips_left_out=clips_left_out,
    )


def _policy(*, scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Nothing but what is inside: scripts and styles by their hashes, pictures as data."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def _json(value: Any) -> Markup:
    """JSON for a script element of a type that browsers do not run."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return Markup(text.translate(_JSON_ESCAPES))


def _model_facts(shown: Sequence[Board]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(label, [(fact, text)]) of every row of all boards, each once."""
    facts: dict[str, list[tuple[str, str]]] = {}
    for board in shown:
        for row in board.rows:
            if row.label in facts:
                continue
            record, about = row.record, row.record.about
            weights = record.model["weights_sha256"]
            cites = about.get("cites")
            each = [
                ("what it is", about.get("summary")),
                ("role", row.role),
                ("assumes", about.get("assumptions")),
                ("caveat", about.get("caveat")),
                ("version", record.model["version"]),
                ("settings", settings(record.model["config"])),
                ("weights", f"sha256 {weights}" if weights else ""),
                ("training", training_of_row(row) if about.get("learns") == "weights" else ""),
                ("trained with", training_details(row)),
                ("cites", "\n\n".join(map(str, cites)) if isinstance(cites, list) else ""),
            ]
            facts[row.label] = [(what, str(text)) for what, text in each if text]
    return list(facts.items())
