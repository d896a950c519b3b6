"""The plan of a run: which cells there are, which are done, and which cannot work and why. Nothing is computed here.

`request` says what is asked, `beforehand` what is wrong with its names. `entrants`, `datasets` and `metrics` find what
takes part, `readiness` what a model is evaluated with, `refusals` what cannot work, `recorded` what is there already.
`making` puts all of it together to a `Plan` of `cells`, and `described` says it in words.
"""

from .beforehand import check_names
from .cells import Action, Plan, Planned
from .datasets import Opened
from .described import describe
from .making import make_plan
from .metrics import named_metrics, not_computable
from .recorded import failed_at, look_up
from .request import Request

__all__ = [
    "Action",
    "Opened",
    "Plan",
    "Planned",
    "Request",
    "check_names",
    "describe",
    "failed_at",
    "look_up",
    "make_plan",
    "named_metrics",
    "not_computable",
]
