"""A request carried out: its plan said, its cells run, its board made. What `vpbench run` and `vpbench.run` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from . import leaderboard
from .errors import Refused
from .plan import Plan, describe
from .progress import seconds
from .results import Record, question_of
from .runner import Outcome, Say, estimate, run_plan
from .stats import ScoreFunction
from .storage import write_atomically


@dataclass(frozen=True)
class Performed:
    """What became of a plan."""

    outcome: Outcome
    board: str = ""  #: for a terminal; empty where there is nothing to show
    board_file: Path | None = None  #: the board of the whole results folder, in Markdown


def perform(plan: Plan, *, say: Say, warn: Say, dry_run: bool = False, quiet: bool = False) -> Performed:
    """Carry a plan out, and put what is there on a board.

    say      gets the plan, line by line, and a line per finished cell
    warn     gets a line per cell that failed or that another process holds, and per record that cannot be read
    dry_run  only the plan, and how long it would take: nothing is written
    quiet    no progress bars

    Raises Refused where nothing that was asked for can work, after that is written down.
    """
    for line in describe(plan):
        say(line)
    if plan.count("run"):
        say(f"  {_how_long(plan)}")
    outcome = Outcome() if dry_run else run_plan(plan, say=say, warn=warn, quiet=quiet)
    if plan.nothing_to_run:
        raise Refused(plan.nothing_to_run)
    return Performed(outcome) if dry_run else _with_board(plan, outcome, warn)


def _how_long(plan: Plan) -> str:
    """How long the cells to run and the trainings before them will take, in words."""
    trainings = [training.remaining_s for training in plan.trainings()]
    known = [each for each in trainings if each is not None]
    text = f"about {seconds(max(1.0, estimate(plan) + sum(known)))} on this machine"
    if known:
        text += f", of which training {seconds(sum(known))}"
    if unknown := len(trainings) - len(known):
        text += f", and {unknown} training{'s' * (unknown > 1)} whose budget is no time"
    return text


def scorers_of(plan: Plan) -> dict[str, ScoreFunction]:
    """`Metric.score` by name, of every metric that works; distances of sets have none."""
    made = {**plan.others, **plan.metrics}
    return {name: each.metric.score for name, each in made.items() if hasattr(each.metric, "score")}


def _with_board(plan: Plan, outcome: Outcome, warn: Callable[[str], None]) -> Performed:
    """The boards of what was asked; those of the whole folder are written beside the records."""
    asked = _clips_by_question(plan)
    if not asked:
        return Performed(outcome)
    shown: list[Record] = []
    fewer: list[Record] = []

    def answers(record: Record) -> bool:
        clips = asked.get(question_of(record.identity))
        if clips is None:
            return False
        enough = record.identity["clips"] >= clips
        (shown if enough else fewer).append(record)
        return enough

    results, scorers = plan.request.results, scorers_of(plan)
    board = leaderboard.render(results, scorers, format="text", only=answers)
    text = board.text
    if missing := sorted(_models(fewer) - _models(shown)):
        listed = ", ".join(f"{name} (version {version})" for name, version in missing)
        shows = f"`vpbench leaderboard --results {results}` shows them too."
        text += f"\nOn fewer clips than this run, so not above: {listed}. {shows}\n"
    for problem in board.problems:
        warn(str(problem))
    path = results / "board.md"
    markdown = leaderboard.render(results, scorers, format="markdown").text
    # With markers, so that `vpbench leaderboard --output` can renew it and --check it.
    blank = f"{leaderboard.START}\n{leaderboard.END}\n"
    write_atomically(path, leaderboard.update_between_markers(blank, markdown).encode())
    return Performed(outcome, text, path)


def _models(records: Iterable[Record]) -> set[tuple[str, str]]:
    """Names and versions."""
    return {(str(record.identity["model"]["name"]), str(record.identity["model"]["version"])) for record in records}


def _clips_by_question(plan: Plan) -> dict[str, int]:
    """The questions of the horizons asked for, and on how many clips the plan has them answered."""
    found: dict[str, int] = {}
    for planned in plan.cells:
        if planned.cell.task.horizon in plan.request.horizons and planned.path.exists():
            question, clips = question_of(planned.cell.identity), planned.cell.clips
            found[question] = min(clips, found.get(question, clips))
    return found
