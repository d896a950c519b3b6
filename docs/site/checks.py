"""What `vpbench check` holds against a plugin, rule by rule: read from the rules when the site is built."""

from __future__ import annotations

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from vpbench.specs import resolve
from vpbench.testing import Check

#: In a page: ``<!-- rules: vpbench.testing.model_checks:MODEL_RULES -->``.
_RULES = re.compile(r"<!-- rules: (?P<reference>[\w.]+:\w+) -->")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put tables of rules where they are asked for."""
    return _RULES.sub(lambda match: table(match["reference"]), markdown)


def table(reference: str) -> str:
    """Name and sentence of each rule of a tuple of them."""
    checks = [Check(rule, None) for rule in resolve(reference)]
    rows = [f"| `{check.name}` | {check.sentence.replace('|', chr(92) + '|')} |" for check in checks]
    return "\n".join(["| check | the rule |", "|---|---|", *rows])
