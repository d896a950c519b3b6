"""A page asks nothing of any server: what the theme would fetch is beside it, and what is left over ends the build."""

from __future__ import annotations

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

#: What makes the search work where pages are files and not served: version 1.0.4, MIT.
SHIM = "https://unpkg.com/iframe-worker/shim"
OURS = "site/vendor/iframe-worker/shim.js"

_FETCHED = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\ssrc=["']?(?:https?:)?//[^>]*>|<link\b[^>]*>""")
_STYLE = re.compile(r"""rel=["']?(?:stylesheet|preconnect|preload|icon)[^>]*href=["']?(?:https?:)?//""")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take the shim from the site itself."""
    return _local(output, page.url)


def on_post_template(output_content: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page of what is not found."""
    return _local(output_content, template_name) if template_name.endswith(".html") else output_content


def _local(html: str, url: str) -> str:
    html = html.replace(SHIM, get_relative_url(OURS, url))
    for tag in _FETCHED.findall(html):
        if not tag.startswith("<link") or _STYLE.search(tag):
            raise PluginError(f"{url} would fetch {tag}: put it beside the page")
    return html
