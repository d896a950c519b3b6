"""The plan in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import get_args

from .cells import Action, Plan, Planned


def describe(plan: Plan) -> list[str]:
    """The plan in lines for people."""
    counts = {action: plan.count(action) for action in get_args(Action)}
    named = ", ".join(f"{n} {'to run' if action == 'run' else action}" for action, n in counts.items() if n)
    lines = [f"{len(plan.cells)} cells on {plan.device}: {named}"]
    lines += [f"  train {training}" for training in plan.trainings()]
    for group in plan.groups():
        cell, training = group[-1].cell, group[-1].training
        weights = f", weights {cell.weights.path.name}" if cell.weights else ("" if cell.trained else ", untrained")
        weights = f", weights {training.run.output.name}" if training else weights
        seed = f", seed {cell.seed}" if len(plan.request.seeds) > 1 else ""
        lines.append(f"  run  {_where(group)}, context {cell.task.context}, {cell.clips} clips{seed}{weights}")
    alike: dict[tuple[str, str, str], list[Planned]] = defaultdict(list)
    for planned in plan.cells:
        if planned.action in ("refused", "failed before"):
            alike[planned.action, planned.reason, planned.cell.dataset.spec.name].append(planned)
    for (action, reason, _), cells in alike.items():
        remedy = " (--rerun failed tries again)" if action == "failed before" else ""
        lines.append(f"  {_where(cells)}: {action}: {reason}{remedy}")
    lines += dict.fromkeys(
        f"  {name} is not computed on {planned.cell.dataset.spec.name}: {why}"
        for planned in plan.cells
        for name, why in planned.not_computed.items()
    )
    return lines + [f"  {note}" for note in dict.fromkeys(plan.notes)]


def _where(cells: Sequence[Planned]) -> str:
    """ "latentode on moving-mnist, horizons 1, 5": cells of one dataset in a few words."""
    models = dict.fromkeys(planned.cell.model.spec.name for planned in cells)
    horizons = sorted({planned.cell.task.horizon for planned in cells})
    many = "s" if len(horizons) > 1 else ""
    where = f"{', '.join(models)} on {cells[0].cell.dataset.spec.name}"
    return f"{where}, horizon{many} {', '.join(map(str, horizons))}"
