"""A result as a notebook shows it: the board of its question, its curve, some frames, in one HTML fragment.

The fragment is self-contained and without scripts, every text in it is escaped, and its colours are those of the page
around it, so that light and dark themes are both legible. `chart` draws the curve, `picture` finds the frames,
`fragment` puts all of it together.
"""

from .fragment import as_html, as_markdown, headline, own_row
from .picture import picture_of

__all__ = ["as_html", "as_markdown", "headline", "own_row", "picture_of"]
