"""A name with an underscore is used in its own module: what several modules use has a public name."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = [*ROOT.glob("vpbench/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]


def private_imports(code: str) -> list[str]:
    """Private names that a module takes from another one."""
    taken = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in taken for alias in node.names]
    return [name for name in names if name.startswith("_") and not name.startswith("__")]


def test_no_module_imports_a_private_name_of_another() -> None:
    assert len(SOURCES) > 50
    found = {str(path.relative_to(ROOT)): private_imports(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == {}


def test_a_private_import_is_seen() -> None:
    assert private_imports(
        "from __future__ import annotations\nfrom .a import b, _c\ndef f():\n    from d import _e"
    ) == [
        "_c",
        "_e",
    ]
