"""How docstrings and comments of this project become documentation: an extension of griffe, which reads the sources.

- ``name: str  #: what it is`` says what a field is; the comment may go on in lines below, or stand above. The fields of
  a class are a table below its docstring.
- Comments that end a class (what is optional in a protocol) are its last paragraphs.
- Lines of the form ``name  what it is`` in a docstring are a list.
- ``text::`` before indented lines makes them code.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from griffe import Attribute, Class, Docstring, Extension, Module, Object

#: A name (or several), two or more blanks, and what it is.
_ROW = re.compile(r"^(?P<names>[\w.*|<>{}\"'-]+(?:, [\w.*-]+)*) {2,}(?P<text>\S.*)$")


class Conventions(Extension):
    """Comments on fields, and the form of docstrings."""

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """Put what is said of the fields into a table in the docstring; what they are is in the signature."""
        said = [as_markdown(cls.docstring.value)] if cls.docstring else []
        fields = {each.name: _said_of(each) for each in cls.attributes.values() if "property" not in each.labels}
        if rows := [f"| `{name}` | {_cell(text)} |" for name, text in fields.items() if text]:
            said.append("\n".join(["| field | |", "|---|---|", *rows]))
        for name in fields:
            cls.attributes[name].docstring = None
        if cls.endlineno and isinstance(cls.filepath, Path):
            said += remarks(_lines(cls.filepath), cls.endlineno)
        if said:
            cls.docstring = Docstring("\n\n".join(said), parent=cls)

    def on_attribute(self, *, attr: Attribute, **_: Any) -> None:
        """Take the comment of a constant as its docstring."""
        if isinstance(attr.parent, Module) and attr.docstring is None and (text := _said_of(attr)):
            attr.docstring = Docstring(text, parent=attr)

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Make markdown of a docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def _said_of(attribute: Attribute) -> str:
    if attribute.docstring is not None:
        return attribute.docstring.value
    if not attribute.lineno or not attribute.endlineno or not isinstance(attribute.filepath, Path):
        return ""
    return comment(_lines(attribute.filepath), attribute.lineno, attribute.endlineno)


@cache
def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def comment(lines: list[str], first: int, last: int) -> str:
    """What ``#:`` says of the statement in these lines (counted from 1), at its end, below or above."""
    found = [line.partition("#:")[2].strip() for line in lines[first - 1 : last] if "#:" in line]
    below = last
    while found and below < len(lines) and lines[below].strip().startswith("#:"):
        found.append(lines[below].strip().removeprefix("#:").strip())
        below += 1
    above = first - 2
    if not found:
        while above >= 0 and lines[above].strip().startswith("#:"):
            found.insert(0, lines[above].strip().removeprefix("#:").strip())
            above -= 1
    return " ".join(found)


def remarks(lines: list[str], last: int) -> list[str]:
    """Paragraphs of the comments that end a class whose last statement is in this line (counted from 1)."""
    paragraphs = [""]
    for line in lines[last:]:
        if line and not line.startswith("    #"):
            break
        if line:
            paragraphs[-1] += line.removeprefix("    #")
        else:
            paragraphs.append("")
    return [text.strip() for text in paragraphs if text.strip()]


def as_markdown(text: str) -> str:
    """A docstring in our form as markdown."""
    done: list[str] = []
    code: list[str] | None = None  # lines after "::", as long as they are indented
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.splitlines()
        if code is not None and lines[0].startswith(" "):
            code += ["", *lines]
            continue
        done += _fenced(code)
        code = None
        if _ROW.match(lines[0]):
            done.append(_as_list(lines))
        elif block.endswith("::"):
            done.append(block[:-1])
            code = []
        elif "::\n" in block:  # with its code right below
            said, _, below = block.partition("::\n")
            done += [f"{said}:", *_fenced(below.splitlines())]
        else:
            done.append(block)
    return "\n\n".join([*done, *_fenced(code)])


def _fenced(code: list[str] | None) -> list[str]:
    return ["\n".join(["```python", *_dedented(code), "```"]).replace("```python\n\n", "```python\n")] if code else []


def _dedented(lines: list[str]) -> list[str]:
    margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    return [line[margin:] for line in lines]


def _as_list(lines: list[str]) -> str:
    items: list[str] = []
    for line in lines:
        if row := _ROW.match(line):
            items.append(f"- `{row['names']}`: {row['text']}")
        else:
            items[-1] += f" {line.strip()}"
    return "\n".join(items)
