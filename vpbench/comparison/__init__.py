"""What is compared: boards of records that may stand in one table, and nothing else.

One board per dataset (name, version, config, fingerprint), split and task. Its rows are compared on the clips they all
have: datasets give clips in a fixed order, so n clips of one record are the first n of another, and scores, intervals
and tests are recomputed for these from the per-clip statistics. A column is one definition of a metric (convention,
version, distribution, configuration): scores under another definition get a column of their own and are never ranked
together. Records that differ in their seed alone are one row.

`boards` makes them; a module each knows what rows are called (`labels`), which records are seeds of one method
(`seeds`), their scores (`scores`), ranks (`ranking`), floor and ceiling (`bounds`), what to say of it all (`remarks`),
and where published rows may stand (`beside`). How a board is written down is for `leaderboard` and `report`. Needs
records and score functions; no torch, no registry, no plugin.
"""

from .assembly import boards
from .beside import Apart, Beside, apart, beside
from .board import LEADING, METRIC, Board, Column, Curve, Row, role_of, settings
from .labels import count
from .ranking import rank_methods
from .remarks import few_clips
from .scores import listed
from .seeds import cell_of_any_size, clips_of, seed_of, training_of

__all__ = [
    "LEADING",
    "METRIC",
    "Apart",
    "Beside",
    "Board",
    "Column",
    "Curve",
    "Row",
    "apart",
    "beside",
    "boards",
    "cell_of_any_size",
    "clips_of",
    "count",
    "few_clips",
    "listed",
    "rank_methods",
    "role_of",
    "seed_of",
    "settings",
    "training_of",
]
