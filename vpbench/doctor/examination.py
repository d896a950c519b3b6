"""What imports torch and other people's code, step by step, in a process of its own: `isolation` starts it.

Each line of its output is JSON: ``{"begin": step}`` before a step, ``{"finding": {...}}`` for what it finds, and
``{"end": step}``. Whoever reads knows which step it was that ended the process.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import ConfigError, DataError, VpbenchError
from ..instances import configured, open_dataset
from ..registry import Problem, Provided, Registry
from ..specs import DatasetSpec, ModelSpec
from .findings import Finding, one_line

#: Name of a step, and what it finds.
Step = tuple[str, Callable[[], Iterator[Finding]]]


def steps(*, quick: bool = False, plugins: bool = True, done: Collection[str] = ()) -> Iterator[Step]:
    """All steps in order, but for those that are done.

    quick    only those that import neither torch nor what plugins name
    plugins  False where loading them ends the process: the others then know of none
    """
    installed, torch_works = Registry([]), True

    def list_plugins() -> Iterator[Finding]:
        nonlocal installed
        installed = registry.load()
        yield from _offered(installed)

    def try_torch() -> Iterator[Finding]:
        nonlocal torch_works
        for finding in _torch():
            torch_works = torch_works and finding.status != "broken"
            yield finding

    if "plugins" in done:
        installed = registry.load()
    elif plugins:
        yield "plugins", list_plugins
    if quick:
        return
    if "torch" not in done:
        yield "torch", try_torch
        if not torch_works:  # nothing of what follows does without
            return
    for name, step in _heavy(installed):
        if name not in done:
            yield name, step


def _heavy(installed: Registry) -> Iterator[Step]:
    yield "evaluation", _evaluation
    for kind, found in _kinds(installed):
        for name, provided in found.items():
            yield f"{kind} {name}", partial(_body, kind, provided)
    for name, dataset in installed.datasets().items():
        yield f"files of {name}", partial(_files, dataset)
    for name, model in installed.models().items():
        if model.spec.weights:
            yield f"weights of {name}", partial(_weights, model)
    yield "video", _video


# ------------------------------------------------------------------------------------------------------------- plugins


def _kinds(installed: Registry) -> Iterator[tuple[str, Mapping[str, Provided[Any]]]]:
    yield "model", installed.models()
    yield "dataset", installed.datasets()
    yield "metric", installed.metrics()


def _offered(installed: Registry) -> Iterator[Finding]:
    """A line per plugin, and one per problem."""
    offers: dict[str, dict[str, int]] = {}
    for kind, found in _kinds(installed):
        for provided in found.values():
            counts = offers.setdefault(f"{provided.distribution} {provided.version} ({provided.entry_point})", {})
            counts[kind] = counts.get(kind, 0) + 1
    for source, counts in sorted(offers.items()):
        listed = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items())
        yield Finding("plugins", source, listed)
    for problem in installed.problems:
        yield Finding("plugins", problem.source, f"{problem.phase}: {problem.message}", "broken", _remedy(problem))
    if not offers and not installed.problems:
        yield Finding(
            "plugins", "installed", "none", "broken", "install vpbench-metrics and a plugin with models and datasets"
        )


def _remedy(problem: Problem) -> str:
    if problem.phase == "selection":
        return "change VPBENCH_PLUGINS, or unset it"
    if problem.phase == "names":
        return "until then neither can be used"
    return "upgrade or uninstall it, or tell its author; the rest works"


def _body(kind: str, provided: Provided[Any]) -> Iterator[Finding]:
    """Import what is only named until it is used. Says nothing where that works."""
    try:
        if not callable(provided.spec.load()):
            raise TypeError(f"{provided.spec.factory} cannot be called")
        configured_class = provided.spec.load_config()
        if configured_class is not None and not isinstance(configured_class, type):
            raise TypeError(f"{provided.spec.config} is not a class")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: research code calls sys.exit
        where = f"{kind} {provided.spec.name} of {provided.source}"
        yield Finding(
            "plugins", where, one_line(error), "broken", f"reinstall {provided.distribution}, or uninstall it"
        )


def _files(provided: Provided[DatasetSpec]) -> Iterator[Finding]:
    """Whether a dataset has what it needs. Opening one never downloads."""
    name = provided.spec.name
    try:
        open_dataset(provided, configured(provided, {})).ids("test", n_frames=1)
    except ConfigError as error:
        yield Finding("datasets", name, str(error), "note")
    except DataError as error:
        yield Finding("datasets", name, str(error), "note")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        advice = f"reinstall {provided.distribution}, or tell its author"
        yield Finding("datasets", name, _told(error), "broken", advice)
    else:
        yield Finding("datasets", name, "there")


def _told(error: BaseException) -> str:
    """Our errors explain themselves; of others the type says something."""
    return str(error) if isinstance(error, VpbenchError) else one_line(error)


def _weights(provided: Provided[ModelSpec]) -> Iterator[Finding]:
    """Whether the weights that a plugin ships are there, and are those it means."""
    from ..weights import WeightsFile

    for weights in provided.spec.weights:
        what = weights.file.rpartition(":")[2]
        try:
            file = WeightsFile.bundled(weights)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            yield Finding("weights", what, _told(error), "broken", f"reinstall {provided.distribution}")
        else:
            use = f"for {provided.spec.name} on {weights.dataset}, {weights.context} context frames"
            yield Finding("weights", what, f"{use}, sha256 {file.sha256[:12]}")


# --------------------------------------------------------------------------------------------------------------- torch


def _torch() -> Iterator[Finding]:
    """Whether torch works, and which devices it sees."""
    start = time.perf_counter()
    try:
        import torch
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # missing libraries are an OSError or an ImportError, depending on the system
        yield Finding("torch", "import", one_line(error), "broken", "reinstall torch: pytorch.org says which build")
        return
    yield Finding("torch", "version", f"{torch.__version__}, imported in {time.perf_counter() - start:.1f} s")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        there = torch.cuda.is_available()
    build = f"built for {torch.version.cuda}" if torch.version.cuda else "not built in"
    if there:
        yield Finding("torch", "CUDA", build)
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            found = f"{facts.name}, {facts.total_memory / 1e9:.3g} GB, capability {facts.major}.{facts.minor}"
            yield Finding("torch", f"cuda:{number}", found)
    elif _has_driver():
        why = f": {' '.join(str(said[0].message).split())[:200]}" if said else ""
        advice = "install the CUDA build of torch, of a version that your driver supports"
        yield Finding("torch", "CUDA", f"{build}; there is an NVIDIA driver, but no GPU is seen{why}", "note", advice)
    else:
        yield Finding("torch", "CUDA", f"{build}, no NVIDIA driver")
    if torch.backends.mps.is_available():
        yield Finding("torch", "mps", "available")
    yield Finding("torch", "threads", f"{torch.get_num_threads()}")


def _has_driver() -> bool:
    from shutil import which

    return Path("/proc/driver/nvidia/version").exists() or which("nvidia-smi") is not None


# ---------------------------------------------------------------------------------------------------------- evaluation


def _evaluation() -> Iterator[Finding]:
    """Whether a tiny cell in memory has the score that it must have, on each device. No plugin takes part."""
    try:
        from .. import device as devices
        from .tiny_evaluation import CLIPS, EXPECTED_ERROR, tiny_score

        there = devices.available()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        yield Finding("evaluation", "devices", one_line(error), "broken", "reinstall torch and numpy")
        return
    for device in there:
        start = time.perf_counter()
        try:
            value = tiny_score(device)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            advice = "reinstall torch" if device == "cpu" else "use --device cpu, and look at the driver"
            yield Finding("evaluation", device, one_line(error), "broken", advice)
            continue
        took = f"{CLIPS} clips in {time.perf_counter() - start:.2f} s"
        if abs(value / EXPECTED_ERROR - 1) < 1e-4:
            yield Finding("evaluation", device, f"{took}, the score is as it must be")
        else:
            found = f"{took}, the score is {value:.6g} and must be {EXPECTED_ERROR:.6g}"
            yield Finding("evaluation", device, found, "broken", "trust no number of this device; reinstall torch")


# --------------------------------------------------------------------------------------------------------------- video


def _video() -> Iterator[Finding]:
    """Which kinds of moving pictures can be read and written."""
    from PIL import features

    webp = "GIF and WebP" if features.check("webp") else "GIF; no WebP: this build of pillow is without it"
    yield Finding("video", "pillow", webp)
    try:
        import av
    except ImportError:
        yield Finding("video", "PyAV", "not installed: no mp4, webm, avi", "note", "run pip install av")
        return
    except Exception as error:  # a library of ffmpeg that does not fit
        yield Finding("video", "PyAV", one_line(error), "broken", "reinstall av")
        return
    known = av.codecs_available
    encoders = [name for name in ("libx264", "libopenh264", "libvpx-vp9", "mpeg4") if _can_encode(av, name)]
    decoders = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg") if name in known]
    yield Finding("video", "PyAV", f"{av.__version__}; reads {', '.join(decoders)}; writes {', '.join(encoders)}")


def _can_encode(av: Any, name: str) -> bool:
    try:
        return bool(av.codec.Codec(name, "w").is_encoder)
    except Exception:  # UnknownCodecError, which older versions of PyAV name otherwise
        return False


# ------------------------------------------------------------------------------------------------------ the process


def main(words: list[str]) -> None:
    """``[--quick] [--no-plugins] [STEP THAT IS DONE]...``: run the steps and write what they find to stdout."""
    # Plugins print when they are imported: what they say must not come between our lines.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(kind: str, content: Any) -> None:
        channel.write(json.dumps({kind: content}) + "\n")
        channel.flush()

    for name, step in steps(quick="--quick" in words, plugins="--no-plugins" not in words, done=words):
        say("begin", name)
        for finding in step():
            say("finding", asdict(finding))
        say("end", name)
