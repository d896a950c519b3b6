"""Boards written down: as Markdown, for a terminal, as CSV, LaTeX or JSON, and between the markers of a README.

What is compared is decided in `comparison`; nothing here changes a number. The same records give the same bytes,
whatever the order of files. `render` does all of it; a module per form writes the tables (`tables`) with their headers
(`headers`), numbers (`numbers`), what rows were made with (`provenance`) and whether that was the same for all
(`budgets`), what they had learnt on the way (`budget_curves`), and the legend.
"""

from .budget_curves import BUDGET_CURVES, BudgetChart, BudgetTable, budget_charts, budget_tables
from .budgets import Budgets, budgets
from .headers import ABOVE, BELOW, EXHIBIT, NOT_ABOVE, column_names, headers, marks, origin, row_name
from .legend import legend
from .markers import END, START, update_between_markers
from .numbers import DASH, decimals, large, with_interval
from .provenance import (
    not_computed,
    notes,
    speeds,
    subtitle,
    task_name,
    training,
    training_details,
    training_of_row,
    typical,
    why_not,
)
from .rendering import RENDERERS, Rendered, render

__all__ = [
    "ABOVE",
    "BELOW",
    "BUDGET_CURVES",
    "DASH",
    "END",
    "EXHIBIT",
    "NOT_ABOVE",
    "RENDERERS",
    "START",
    "BudgetChart",
    "BudgetTable",
    "Budgets",
    "Rendered",
    "budget_charts",
    "budget_tables",
    "budgets",
    "column_names",
    "decimals",
    "headers",
    "large",
    "legend",
    "marks",
    "not_computed",
    "notes",
    "origin",
    "render",
    "row_name",
    "speeds",
    "subtitle",
    "task_name",
    "training",
    "training_details",
    "training_of_row",
    "typical",
    "update_between_markers",
    "why_not",
    "with_interval",
]
