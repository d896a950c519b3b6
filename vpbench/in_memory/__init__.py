"""Models that are objects of the program that asks: torch modules, functions, whatever has `predict`.

`objects` makes ordinary models of them, `lending` lends their modules to a run, `reach` finds what they use, and
`introspection` tells two of them apart.
"""

from .lending import lent
from .objects import InMemory, in_memory, where_raised

__all__ = ["InMemory", "in_memory", "lent", "where_raised"]
