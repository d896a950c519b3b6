"""New plugin packages: what they may be called, and their files, rendered from the templates beside this module."""

from .author import Author
from .names import Names, names_for
from .package import KINDS, Kind, next_commands, render, write

__all__ = ["KINDS", "Author", "Kind", "Names", "names_for", "next_commands", "render", "write"]
