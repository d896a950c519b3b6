"""Models that are objects of the program that asks: torch modules, functions, whatever has `predict`.

`objects` makes ordinary models of them, and lends their modules to a run; `introspection` tells two of them apart.
"""

from .objects import InMemory, in_memory, lent, where_raised

__all__ = ["InMemory", "in_memory", "lent", "where_raised"]
