"""The files of a new package, and what to do with it next."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from ..errors import UsageError
from .author import Author
from .names import Names

Kind = Literal["model", "dataset", "metric"]
KINDS: tuple[str, ...] = get_args(Kind)

#: File of a package -> its template. `{folder}` is that of the kind of plugin, `{package}` and `{module}` are Python's.
_TEMPLATES: Mapping[str, str] = {
    "pyproject.toml": "package/pyproject.toml",
    "README.md": "{folder}/README.md",
    "LICENSE": "package/LICENSE",
    ".gitignore": "package/gitignore",
    ".github/workflows/ci.yml": "package/ci.yml",
    "src/{package}/__init__.py": "{folder}/entry.py",
    "src/{package}/{module}.py": "{folder}/implementation.py",
    "src/{package}/py.typed": "package/py.typed",
    "tests/test_{package}.py": "{folder}/tests.py",
}

#: What the module of the implementation is called; the classes in it have the plugin's name.
_MODULES: Mapping[str, str] = {"model": "model", "dataset": "data", "metric": "measure"}

#: What the implementation imports beside vpbench.
_IMPORTS: Mapping[str, tuple[str, ...]] = {
    "model": ("torch>=2.4",),
    "dataset": ("numpy>=1.26",),
    "metric": ("numpy>=1.26", "torch>=2.4"),
}

_HORIZON = 10  # of the first run


def render(
    kind: Kind, names: Names, *, version: str, author: Author | None = None, trainable: bool = False
) -> dict[str, str]:
    """The files of a package: path inside it -> text.

    version    of vpbench: what the package asks for is this one or a later one of the same major version
    author     None: the package names nobody
    trainable  a model whose weights are learnt by `vpbench train`; models only
    """
    import jinja2

    here = files(__package__)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: here.joinpath("templates", f"{name}.jinja").read_text(encoding="utf-8")
        ),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["toml"] = lambda text: json.dumps(text, ensure_ascii=False)
    module = _MODULES[kind]
    places = {"folder": "trainable" if trainable else kind, "package": names.package, "module": module}
    said = {
        **names._asdict(),
        "kind": kind,
        "module": module,
        "author": author,
        "requirements": [*_IMPORTS[kind], f"vpbench{_compatible(version)}"],
        "trainable": trainable,
        "first_run": _first_run(kind, names.plugin, trainable),
    }
    return {
        path.format(**places): environment.get_template(template.format(**places)).render(said)
        for path, template in _TEMPLATES.items()
    }


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files of a package into a folder that is new or empty. Raises UsageError for any other, OSError."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give another place with --directory")
    if folder.is_dir() and (there := sorted(path.name for path in folder.iterdir())):
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise UsageError(f"{folder} is not empty, it holds {there[0]}{more}: give another place with --directory")
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def next_commands(kind: Kind, names: Names, folder: Path, *, trainable: bool = False) -> list[str]:
    """What to type to have a new package installed, checked and run."""
    place = str(folder) if folder.is_absolute() or str(folder).startswith("..") else f"./{folder}"
    return [
        shlex.join(["pip", "install", "--editable", f"{place}[test]"]),
        f"vpbench check {names.plugin}",
        _first_run(kind, names.plugin, trainable),
    ]


def _first_run(kind: Kind, name: str, trainable: bool) -> str:
    if trainable:
        return f"vpbench train --model {name} --dataset moving-mnist --horizon {_HORIZON} --budget 2m"
    given = {
        "model": f"--model {name} --dataset moving-mnist",
        "dataset": f"--model copy-last --dataset {name}",
        "metric": f"--model copy-last --dataset moving-mnist --metric {name}",
    }
    return f"vpbench run {given[kind]} --horizon {_HORIZON}"


def _compatible(version: str) -> str:
    """The versions of vpbench that a package works with: docs/compatibility.md says why up to the next major one.

    >>> _compatible("0.3.1"), _compatible("2.0.0rc1")
    ('>=0.3,<1', '>=2.0,<3')
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is None:
        raise ValueError(f"version {version!r} of vpbench does not begin with two numbers")
    major, minor = (int(number) for number in match.groups())
    return f">={major}.{minor},<{major + 1}"
