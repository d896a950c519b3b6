"""The page: boards of records as one HTML file that needs nothing but a browser.

`page` makes it. What is compared is decided in `comparison`, how numbers are written in `leaderboard`; here they are
put on a page with what a table cannot show: curves per step, every pairwise difference, and the predictions themselves.
"""

from .page import Page, page

__all__ = ["Page", "page"]
