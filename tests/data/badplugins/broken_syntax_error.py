# A SyntaxError in Python, and still a file that formatters can read.
from __future__ import braces  # noqa: F407
