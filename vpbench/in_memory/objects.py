"""Models that are objects of the program that asks: torch modules, functions, whatever has `predict`.

They become a `ModelSpec` whose factory gives the object back, so that plan, run and records are those of any model.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import extract_tb
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModelFailed, UsageError
from ..protocols import Context
from ..reach import is_installed_file, modules_in
from ..registry import IN_MEMORY, Provided
from ..specs import ModelSpec
from .introspection import digest

_OURS = Path(__file__).parents[1]

WEIGHTS_UNKNOWN = "its weights were in memory, and what they were trained on is not known"


@dataclass(frozen=True)
class InMemory:
    """An object made ready to be evaluated."""

    provided: Provided[ModelSpec]
    model: Predicting | Calling  #: what the factory gives: it refers to the object, so nothing is copied
    modules: Sequence[nn.Module]  #: what has to be moved to the device, and put into eval mode

    @property
    def name(self) -> str:
        return self.provided.spec.name

    @property
    def raised(self) -> BaseException | None:
        """The last that the object's own code raised."""
        return self.model.raised

    @property
    def to_be_asked(self) -> bool:
        """Whether nobody knows how many frames it predicts at a time before it was called."""
        return isinstance(self.model, Calling) and not self.model.takes_horizon

    def told(self, horizon: int) -> Provided[ModelSpec]:
        """Its spec, with what is known of it since it was called."""
        said = [self.provided.spec.assumptions, self.model.fed_back(horizon)]
        return replace(self.provided, spec=replace(self.provided.spec, assumptions="; ".join(filter(None, said))))


def in_memory(model: Any, name: str | None = None) -> InMemory:
    """The model that an object is.

    model  has ``predict(context, target_times)`` as `vpbench.protocols.Model`; or can be called, as `Calling` says
    name   on boards; by default that of its class or function, in kebab case

    The version is a digest of code and weights (`introspection.digest`): records of other weights are other records.
    Raises UsageError for what is no model, and for a name that no model can have.
    """
    if isinstance(model, type):
        raise UsageError(f"{model.__name__} is a class: give an object of it, {model.__name__}(...)")
    if not callable(model) and not callable(getattr(model, "predict", None)):
        raise UsageError(
            f"a model must be a name, 'file.py:Class', a function, or an object with predict(context, target_times), "
            f"got {_described(model)}"
        )
    modules = modules_in(model)
    spec = _spec(model, name, modules)
    predicts = callable(getattr(model, "predict", None))
    made = Predicting(model, modules) if predicts else Calling(model, modules, spec.name)
    spec = replace(spec, factory=lambda config, *, frame_shape, context_length: made)
    return InMemory(Provided(spec, IN_MEMORY, spec.version, spec.name), made, modules)


def _spec(model: Any, name: str | None, modules: Sequence[nn.Module]) -> ModelSpec:
    given = getattr(model, "spec", None)
    if isinstance(given, ModelSpec):
        version = f"{given.version}+{digest(model)[:12]}"
        spec = replace(given, version=version, config=None, learns="nothing", weights=(), prefix_stable=False)
        return spec if name is None else _named(spec, name)
    doc = (inspect.getdoc(model) or "").strip().splitlines() if _has_own_doc(model) else []
    spec = ModelSpec(
        name="model",
        factory="in:memory",
        summary=doc[0] if doc else f"{_code_name(model)}, an object in memory",
        version=digest(model)[:12],
        capabilities=frozenset(getattr(model, "capabilities", ())),
        assumptions=WEIGHTS_UNKNOWN if any(True for module in modules for _ in module.parameters()) else "",
    )
    return _named(spec, _kebab(_code_name(model)) if name is None else name)


def _named(spec: ModelSpec, name: str) -> ModelSpec:
    if not isinstance(name, str):
        raise UsageError(f"name must be text, got {_described(name)}")
    try:
        return replace(spec, name=name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _has_own_doc(model: Any) -> bool:
    """Not that of torch.nn.Module, or of a library's class."""
    return inspect.isroutine(model) or "__doc__" in vars(type(model))


def _code_name(model: Any) -> str:
    """What its author called it: of a function its name, of a partial one that of the whole, else of its class."""
    if isinstance(inner := _wrapped(model), nn.Module):
        return _code_name(inner)
    if isinstance(model, torch.jit.ScriptModule):
        return str(model.original_name)
    inner = getattr(model, "func", None)
    if not hasattr(model, "__name__") and callable(inner):
        return _code_name(inner)
    return str(getattr(model, "__name__", None) or type(model).__name__).replace("<lambda>", "lambda")


def _kebab(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])|[^A-Za-z0-9]+", "-", name)
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "model"


# ------------------------------------------------------------------------------------------------------- as the harness


class Predicting:
    """An object that keeps to the contract, asked in a way that leaves no trace in it."""

    def __init__(self, model: Any, modules: Sequence[nn.Module]) -> None:
        if (taken := _required(_parameters(model.predict))) is not None and len(taken) == 1:
            raise UsageError(
                f"predict of {type(model).__name__} takes one argument, not (context, target_times): "
                "if that is frames, give the function itself, model.predict"
            )
        self._predict = model.predict
        self._modules = nn.ModuleList(modules)  # the harness finds, moves and counts these
        self.raised: BaseException | None = None
        if callable(getattr(model, "stats", None)):
            self.stats = model.stats

    def fed_back(self, horizon: int) -> str:
        return ""

    def predict(self, context: Context, target_times: Tensor) -> Any:
        with _remembering(self), no_inference_mode():
            return self._predict(context, target_times)


class Calling:
    """A function of frames: ``f(frames)``, or ``f(frames, horizon)``.

    frames   float32 (B, Tc, C, H, W) in [0, 1], on the device
    returns  (B, T, C, H, W), a floating point tensor or numpy array, nominally in [0, 1]

    Who takes a horizon must return as many frames. Who does not, returns any number: too many are cut, and where they
    are too few the frames it predicted, as they came, take the place of the earliest it was given, and it is asked
    again.
    """

    def __init__(self, call: Callable[..., Any], modules: Sequence[nn.Module], name: str) -> None:
        self._call = [call]  # not as an attribute of its own: a module is among those below
        self._name = name
        self._modules = nn.ModuleList(modules)
        self._takes = _takes(call, name)
        self.raised: BaseException | None = None
        self.frames_at_once = 0  #: of the last call; 0 before the first, and where it takes a horizon

    @property
    def takes_horizon(self) -> bool:
        return self._takes != "frames"

    def fed_back(self, horizon: int) -> str:
        """How it comes to so many frames, in words; empty if at once, or not known yet."""
        if not self.frames_at_once or self.frames_at_once >= horizon:
            return ""
        frames = "one frame" if self.frames_at_once == 1 else f"{self.frames_at_once} frames"
        return f"predicts {frames} at a time, and is given its own predictions to go on"

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        steps = target_times.shape[1]
        frames = context.frames
        with _remembering(self), no_inference_mode():
            if self.takes_horizon:
                return self._asked(frames, steps)
            blocks: list[Tensor] = []
            there = 0
            while there < steps:
                block = self._asked(frames)
                self.frames_at_once = block.shape[1]
                blocks.append(block)
                there += block.shape[1]
                frames = torch.cat([frames, block], dim=1)[:, -frames.shape[1] :]
            return torch.cat(blocks, dim=1)[:, :steps]

    def _asked(self, frames: Tensor, horizon: int | None = None) -> Tensor:
        """Its answer, checked. What it is given is a copy, and so is what it gave: people write into the one, and use
        the memory of the other again."""
        (call,), given = self._call, frames.clone()
        if horizon is None:
            answer = call(given)
        else:
            answer = call(given, horizon=horizon) if self._takes == "horizon by name" else call(given, horizon)
        return self._checked(answer, frames, exactly=horizon)

    def _checked(self, answer: Any, frames: Tensor, *, exactly: int | None = None) -> Tensor:
        if isinstance(answer, np.ndarray) and not answer.dtype.hasobject:
            answer = torch.from_numpy(np.ascontiguousarray(answer))
        clips, _, *shape = frames.shape
        steps = "any number of frames" if exactly is None else exactly
        wanted = f"({clips}, {steps}, {', '.join(map(str, shape))})"
        if not isinstance(answer, Tensor):
            raise ModelFailed(f"{self._name} returned {_described(answer)}, wanted is a tensor or array {wanted}")
        there = tuple(answer.shape)
        if len(there) != 5 or (there[0], *there[2:]) != (clips, *shape) or not there[1]:
            raise ModelFailed(f"{self._name} returned shape {there}, wanted is {wanted}")
        if exactly is not None and there[1] != exactly:
            raise ModelFailed(f"{self._name} was asked for {exactly} frames and returned {there[1]}")
        if not answer.is_floating_point():
            raise ModelFailed(f"{self._name} returned {answer.dtype}, wanted are floating point values in [0, 1]")
        return answer.detach().to(frames.device, torch.float32, copy=True)


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """What a call takes; None where nobody knows."""
    try:
        return list(inspect.signature(call).parameters.values())
    except (ValueError, TypeError):  # made in C, or by torch.jit
        return None


def _required(parameters: Sequence[inspect.Parameter] | None) -> list[str] | None:
    """Names of the positional arguments that must be given; None where any may be, or nobody knows."""
    if parameters is None:
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = [each for each in parameters if each.kind in positional]
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters) and not taken:
        return None
    required = [each.name for each in taken if each.default is inspect.Parameter.empty]
    return required or [each.name for each in taken[:1]]


def _takes(call: Callable[..., Any], name: str) -> Literal["frames", "frames and horizon", "horizon by name"]:
    """What a function is to be given. Raises UsageError where that cannot be.

    A `horizon` with a default is one too: who is asked for ninety frames must not go on in tens because of it. One that
    a partial function has settled is settled.
    """
    parameters = _parameters(_signed(call))
    taken = _required(parameters)
    if taken is not None and len(taken) not in (1, 2):
        raise UsageError(f"{name} takes {', '.join(taken) or 'no frames'}; a model is f(frames) or f(frames, horizon)")
    if taken is not None and len(taken) == 2:
        return "frames and horizon"
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    has_horizon = any(each.name == "horizon" and each.kind in named for each in (parameters or [])[1:])
    settled = isinstance(call, functools.partial) and "horizon" in call.keywords
    return "horizon by name" if has_horizon and not settled else "frames"


def _signed(call: Callable[..., Any]) -> Callable[..., Any]:
    """Who says what a model takes: of a module its forward, of one that wraps another that of the other."""
    while isinstance(inner := _wrapped(call), nn.Module):
        call = inner
    return call.forward if isinstance(call, nn.Module) else call


def _wrapped(model: Any) -> Any:
    """The module that torch.compile, DataParallel or DistributedDataParallel made this one of; None for others."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return model.module
    return getattr(model, "_orig_mod", None) if isinstance(model, nn.Module) else None


@contextmanager
def _remembering(asked: Predicting | Calling) -> Iterator[None]:
    """Keep what user code raises: its traceback is worth more to who wrote it than the line of a record."""
    try:
        yield
    except BaseException as error:
        asked.raised = error
        raise


@contextmanager
def no_inference_mode() -> Iterator[None]:
    """No inference tensors: what a module caches in its first call would spoil the training that goes on after it."""
    grad = torch.is_grad_enabled()  # before: switching inference mode off switches gradients on
    with torch.inference_mode(False), torch.set_grad_enabled(grad):
        yield


def where_raised(error: BaseException | None) -> str:
    """``" (models.py, line 12)"``: the last line of the user's own code that led to it; empty where it is ours."""
    if error is None or isinstance(error, ModelFailed):
        return ""
    files = [(frame, Path(frame.filename)) for frame in extract_tb(error.__traceback__)]
    own = [frame for frame, file in files if not is_installed_file(file) and not file.is_relative_to(_OURS)]
    if not own:
        return ""
    last = own[-1]
    file = Path(last.filename)
    cell = file.parent.name.startswith("ipykernel_")  # the file of a cell is a number that says nothing
    return f" ({'a cell' if cell else file.name}, line {last.lineno})"


def _described(thing: Any) -> str:
    name = type(thing).__name__
    if thing is None:
        return "None"
    text = f" {thing!r}" if isinstance(thing, int | float | str | bool) else ""
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}{text}"
