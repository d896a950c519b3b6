"""Do the distributions in a folder hold what the repository has, and nothing else?

    python .ci/wheel_contents.py build/dist

Every file of a package that git knows is in its wheel: templates, weights, py.typed. Licences are where tools look.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def files_of(project: Path, package: str) -> set[str]:
    """Files of a package in the repository, as paths inside a wheel."""
    source = project / "src" if (project / "src").is_dir() else project
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", str(source / package)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return {(ROOT / line).relative_to(source).as_posix() for line in listed if (ROOT / line).is_file()}


def faults(project: Path, folder: Path) -> list[str]:
    """What is wrong with the wheel and the sdist of a project."""
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    package = metadata["name"].replace("-", "_")
    stem = f"{package}-{metadata['version']}"
    wheel, sdist = folder / f"{stem}-py3-none-any.whl", folder / f"{stem}.tar.gz"
    if missing := [each.name for each in (wheel, sdist) if not each.is_file()]:
        return [f"{each} was not built" for each in missing]
    wrong = []
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if not name.endswith("/")}
        described = Parser().parsestr(archive.read(f"{stem}.dist-info/METADATA").decode())
    code = {name for name in there if ".dist-info/" not in name}
    wanted = files_of(project, package)
    wrong += [f"{wheel.name} lacks {name}" for name in sorted(wanted - code)]
    wrong += [f"{wheel.name} has {name}, which the repository has not" for name in sorted(code - wanted)]
    if f"{package}/py.typed" not in code:
        wrong.append(f"{wheel.name} is not marked as typed")
    for pattern in metadata["license-files"]:
        if f"{stem}.dist-info/licenses/{pattern}" not in there:
            wrong.append(f"{wheel.name} lacks the licence {pattern}")
    if described["License-Expression"] != metadata["license"]:
        wrong.append(f"{wheel.name} says License-Expression: {described['License-Expression']}")
    if described.get_payload().strip() != (project / "README.md").read_text().strip():
        wrong.append(f"{wheel.name} does not carry its README")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wrong += [f"{sdist.name} lacks {name}" for name in ("pyproject.toml", "README.md", "LICENSE") if name not in names]
    return wrong


def main(folder: str) -> int:
    projects = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]
    wrong = [fault for project in projects for fault in faults(project, ROOT / folder)]
    print(*wrong or [f"{len(projects)} distributions hold what the repository has"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
