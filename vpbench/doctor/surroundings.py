"""Facts that need neither torch nor a plugin: versions, packages, environment variables, folders."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution, entry_points
from pathlib import Path

import platformdirs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from .findings import Finding, Status, one_line
from .privacy import is_secret

#: Environment variables that change what vpbench does, beside its own (VPBENCH_...).
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMBA_CACHE_DIR",
    "NUMBA_DISABLE_JIT",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "PYTHONPATH",
)

LOW_BYTES = 1 << 30  # less free space than this is worth a word: weights and kept predictions are of that order


def program() -> Iterator[Finding]:
    """Which vpbench this is: version, place, and the commit of a checkout."""
    root = Path(__file__).resolve().parents[2]
    try:
        yield Finding("vpbench", "version", distribution("vpbench").version)
    except PackageNotFoundError:
        yield Finding("vpbench", "version", "not installed", "broken", f"run pip install -e {root}")
    yield Finding("vpbench", "place", str(root))
    if (root / ".git").exists():
        yield _commit(root)


def _commit(root: Path) -> Finding:
    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return Finding("vpbench", "commit", git("rev-parse", "HEAD")[:12] + changed)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("vpbench", "commit", f"a checkout, but git does not say which: {one_line(error)}", "note")


def machine() -> Iterator[Finding]:
    """Python and what it runs on."""
    yield Finding("python", "version", f"{platform.python_version()} ({platform.python_implementation()})")
    yield Finding("python", "executable", sys.executable or "unknown")
    yield Finding("python", "platform", platform.platform())
    affinity = getattr(os, "sched_getaffinity", None)
    usable = f", {len(affinity(0))} of them usable" if affinity else ""
    yield Finding("python", "processors", f"{os.cpu_count()}{usable}")
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        yield Finding("python", "memory", _size(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))


def packages() -> Iterator[Finding]:
    """Versions of what vpbench and its plugins need, and what of it is missing or of another version than they ask."""
    askers = {canonicalize_name(name): found for name, found in _askers()}
    wanted: dict[NormalizedName, list[tuple[str, Requirement]]] = {}
    for asker, found in askers.items():
        for line in found.requires or ():
            try:
                requirement = Requirement(line)
            except InvalidRequirement as error:
                yield Finding("packages", asker, one_line(error), "broken", f"reinstall {asker}")
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.setdefault(canonicalize_name(requirement.name), []).append((asker, requirement))
    for name in sorted(wanted):
        package = _package(name, wanted[name])
        if package.status != "ok" or name not in askers:  # parts of vpbench have lines of their own
            yield package


def _package(name: str, wanted: Sequence[tuple[str, Requirement]]) -> Finding:
    """Its version, and whether that is what others ask for."""
    try:
        version = distribution(name).version
    except PackageNotFoundError:
        asker, requirement = wanted[0]
        found = f"missing, {asker} needs it"
        return Finding("packages", name, found, "broken", f"run pip install '{requirement}'")
    for asker, requirement in wanted:
        if not requirement.specifier.contains(version, prereleases=True):
            found = f"{version}, {asker} needs {requirement.specifier}"
            return Finding("packages", name, found, "broken", f"run pip install '{requirement}'")
    return Finding("packages", name, version)


def _askers() -> Iterator[tuple[str, Distribution]]:
    """vpbench and every distribution that has a plugin."""
    with suppress(PackageNotFoundError):
        yield "vpbench", distribution("vpbench")
    for point in entry_points(group="vpbench"):
        if point.dist is not None:
            try:
                yield point.dist.name or point.name, point.dist
            except Exception:  # METADATA that is damaged: the registry says so
                continue


def environment() -> Iterator[Finding]:
    """Environment variables that change what happens."""
    names = [name for name in sorted(os.environ) if name.startswith("VPBENCH_") or name in VARIABLES]
    for name in names:
        yield Finding("environment", name, "set, not shown" if is_secret(name) else os.environ[name] or "empty")
    if not names:
        yield Finding("environment", "variables", "none that change anything")


def folders() -> Iterator[Finding]:
    """Where files go that are not asked for by name, whether they can be written there, and how much fits."""
    places = [
        ("cache", Path(os.environ.get("VPBENCH_CACHE") or platformdirs.user_cache_dir("vpbench")), "VPBENCH_CACHE"),
        ("data", Path(os.environ.get("VPBENCH_DATA") or platformdirs.user_data_dir("vpbench")), "VPBENCH_DATA"),
        ("temporary", Path(_temporary()), "TMPDIR"),
        ("working", Path.cwd(), ""),
    ]
    for what, folder, variable in places:
        yield _folder(what, folder, variable)


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:  # none of the usual ones can be written
        return os.environ.get("TMPDIR") or "/tmp"


def _folder(what: str, folder: Path, variable: str) -> Finding:
    there = next(parent for parent in [folder, *folder.parents] if parent.exists() or parent == parent.parent)
    elsewhere = f"name another with {variable}" if variable else "work in another one"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        status: Status = "note" if what == "working" else "broken"  # many commands only read
        return Finding("folders", what, f"{folder}: nothing can be written there", status, elsewhere)
    free = shutil.disk_usage(there).free
    state = "" if folder.exists() else ", not made yet"
    if free < LOW_BYTES:
        return Finding("folders", what, f"{folder}: {_size(free)} free{state}", "note", f"free some, or {elsewhere}")
    return Finding("folders", what, f"{folder}: {_size(free)} free{state}")


def _size(size: float) -> str:
    """Bytes for people: "23.1 GB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
