"""`python -m experiments.figures`: redraw the figures of the report, training what is not there yet."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

HERE = Path(__file__).parent
if importlib.util.find_spec("matplotlib") is None:
    sys.exit("figures: matplotlib is not installed: pip install -r requirements-figures.txt")

from . import architectures, balls, digits, setups, style, trajectories  # noqa: E402
from .trained import ROOT, Part, bundled, needed, needed_in_all  # noqa: E402
from .trained import trained as model_of  # noqa: E402

Drawn = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class Drawing:
    """A figure: what it takes, and what draws it."""

    number: int
    title: str
    draw: Callable[[], Drawn]
    parts: Sequence[Part] = ()
    shipped: Sequence[int] = ()  #: contexts of the bundled weights that it shows
    records: bool = False  #: it shows committed records

    def key(self) -> str:
        """What the picture follows from: weights, records, and how it is drawn."""
        found = hashlib.sha256()
        for module in (style, sys.modules[self.draw.__module__]):
            found.update(Path(str(module.__file__)).read_bytes())
        for part in self.parts:
            for seed in part.seeds:
                found.update(model_of(part, seed).sha256.encode())
        for context in self.shipped:
            found.update(bundled("latentode", context).sha256.encode())
        if self.records:
            found.update(json.dumps(setups.rows()).encode())
        return found.hexdigest()[:16]


DRAWINGS = {
    each.number: each
    for each in (
        Drawing(1, "One trajectory and its continuation", trajectories.figure_1, trajectories.CLEAN),
        Drawing(2, "The same, from noisy measurements", trajectories.figure_2, trajectories.NOISY),
        Drawing(3, "Auto-encoders of the ball", balls.figure_3, [balls.DIGITS_FIRST, *balls.CODED]),
        Drawing(4, "Codes along one trajectory", balls.figure_4, balls.SIZES),
        Drawing(5, "What the code makes of a grid", balls.figure_5, balls.GRIDS),
        Drawing(6, "The latent ODE of one code", architectures.figure_6, [balls.MOVED]),
        Drawing(7, "Codes that are predicted and encoded", balls.figure_7, [balls.MOVED]),
        Drawing(8, "The latent ODE of two codes", architectures.figure_8, shipped=(10,)),
        Drawing(9, "The setups of the comparison", setups.figure_9, records=True),
        Drawing(11, "The ball beyond the trained span", balls.figure_11, [balls.MOVED]),
        Drawing(12, "Swapped looks, least error", digits.figure_12, [digits.SWAPPED]),
        Drawing(13, "Swapped looks, most error", digits.figure_13, [digits.SWAPPED]),
        Drawing(14, "Two digits that cross", digits.figure_14, shipped=(2,)),
    )
}


@click.command(help=__doc__)
@click.argument("numbers", nargs=-1, type=int)
@click.option("--list", "only_list", is_flag=True, help="Say what each needs and how long that trains; draw nothing.")
@click.option("--force", is_flag=True, help="Draw anew what is up to date, too.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=ROOT / "docs" / "figures", help="Folder of pictures."
)
def main(numbers: tuple[int, ...], only_list: bool, force: bool, output: Path) -> None:
    if unknown := [number for number in numbers if number not in DRAWINGS]:
        there = ", ".join(map(str, DRAWINGS))
        raise click.UsageError(f"the report has no figure {unknown[0]} that is drawn here; there are {there}")
    if Path.cwd() != ROOT:  # paths in grid files are relative to where the command runs
        raise click.UsageError(f"the experiments keep their weights in the repository: run this from {ROOT}")
    chosen = [DRAWINGS[number] for number in numbers or DRAWINGS]
    for each in chosen:
        click.echo(f"figure {each.number}: {each.title}: {needed(each.parts)}")
    if len(chosen) > 1:
        click.echo(f"in all: {needed_in_all([part for each in chosen for part in each.parts])}")
    if only_list:
        return
    book = output / "figures.json"
    numbers_drawn: dict[str, Any] = json.loads(book.read_text(encoding="utf-8")) if book.exists() else {}
    for each in chosen:
        for part in each.parts:
            part.carry_out()
        path, key = output / f"figure-{each.number}.png", each.key()
        if not force and style.made_of(path) == key:
            click.echo(f"figure {each.number}: up to date")
            continue
        figure, found = each.draw()
        style.save(figure, path, key)
        numbers_drawn[str(each.number)] = {"title": each.title, **rounded(found)}
        ordered = dict(sorted(numbers_drawn.items(), key=lambda pair: int(pair[0])))
        book.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        click.echo(f"figure {each.number}: {path} {json.dumps(rounded(found), ensure_ascii=False)}")


def rounded(value: Any) -> Any:
    """Numbers to four digits: more is not known, and would change from machine to machine."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main(prog_name="python -m experiments.figures")
