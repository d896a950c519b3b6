"""From the tensors of a published checkpoint to a weights file: named by the plugin, held to its model, written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import config_to_dict
from ..errors import PluginError, UsageError, WeightsError
from ..instances import authoring, blaming, make_model
from ..registry import Provided
from ..specs import ModelSpec, resolve
from ..suitability import shape_text, unsuited
from ..weights import misfits, read_header, save
from .published_file import PublishedFile, listed


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What published weights are for, and where they come from: what no file says."""

    model: Provided[ModelSpec]
    config: Any
    dataset: str  #: name of the one they were trained for
    frame_shape: tuple[int, int, int]  #: (channels, height, width)
    context: int  #: frames the model is given
    source: str  #: one line, for boards: who published them, and where
    trained_on: str = ""  #: what the publishers say of their training, if anything

    def header(self, published: PublishedFile) -> dict[str, Any]:
        """The provenance that the weights file gets; how much training there was is not known."""
        spec = self.model.spec
        origin = {"file": published.path.name, "sha256": published.sha256, "source": self.source}
        return {
            "model": {"name": spec.name, "version": spec.version, "config": config_to_dict(self.config)},
            "dataset": {"name": self.dataset},
            "frame_shape": list(self.frame_shape),
            "context": self.context,
            "imported_from": origin | ({"trained_on": self.trained_on} if self.trained_on else {}),
        }


def import_weights(file: Path, output: Path, purpose: Purpose) -> bool:
    """Write the weights of a published checkpoint to `output`; False if they are there already.

    Raises UsageError for what is asked for wrongly, WeightsError for a file that is not what the model takes,
    PluginError, StorageError.
    """
    _check_purpose(purpose)
    if output.is_dir():
        raise UsageError(f"--output {output} is a folder: name the weights file to write")
    published = PublishedFile.read(file)
    header = purpose.header(published)
    if _is_there(output, header):
        return False
    save(output, _converted(published, purpose), header, half=False)
    return True


def _check_purpose(purpose: Purpose) -> None:
    spec = purpose.model.spec
    for option, text in (("--source", purpose.source), ("--trained-on", purpose.trained_on)):
        if not text.isprintable() or (option == "--source" and not text.strip()):
            raise UsageError(f"{option} {text!r}: one line of text, that boards can print")
    shape = purpose.frame_shape
    if why_not := unsuited(spec, purpose.dataset, shape, f"{purpose.dataset} ({shape_text(shape)})"):
        raise UsageError(why_not)


def _is_there(output: Path, header: Mapping[str, Any]) -> bool:
    """Whether this very import has been written. Raises UsageError where something else has the name."""
    if not output.exists():
        return False
    try:
        found = read_header(output)
    except WeightsError as error:
        raise UsageError(f"{output} is there and no weights file of ours: name another --output") from error
    if found != header:
        raise UsageError(f"{output} holds other weights: name another --output, or delete it")
    return True


# ------------------------------------------------------------------------------------------------------------- tensors


def _converted(published: PublishedFile, purpose: Purpose) -> dict[str, Tensor]:
    """The state of the model, of its types: every tensor in its place, none left over, none not finite."""
    provided, path = purpose.model, published.path
    with blaming(provided, "making"):
        model = make_model(
            provided.spec, purpose.config, frame_shape=purpose.frame_shape, context_length=purpose.context
        )
        if not isinstance(model, nn.Module):
            raise PluginError("it imports weights, so it must be a torch Module")
    found, left_over = _renamed(published, purpose)
    config = _config_hint(purpose)
    if left_over:
        raise WeightsError(f"{path} has more than {provided.spec.name} is made of: {listed(left_over)}; {config}")
    own = model.state_dict()
    if wrong := misfits(own, found):
        raise WeightsError(f"{path} does not fit {provided.spec.name}: {listed(wrong)}; {config}")
    # Each in memory of its own: an importer may cut one tensor into several, or use one twice.
    state = {name: value.detach().to(own[name].dtype, copy=True).contiguous() for name, value in found.items()}
    if broken := [name for name, value in state.items() if not torch.isfinite(value).all()]:
        raise WeightsError(f"{path} holds NaN or infinity, which becomes {listed(broken)}: download it again")
    return state


def _renamed(published: PublishedFile, purpose: Purpose) -> tuple[dict[str, Tensor], list[str]]:
    """What the plugin makes of the tensors, and which of them it did not take."""
    provided, path = purpose.model, published.path
    name = provided.spec.name
    left_over = dict(published.state)
    with blaming(provided, "importer"):
        assert provided.spec.importer is not None  # who asks has seen to it
        importer = resolve(provided.spec.importer)
        try:
            found = importer(left_over, purpose.config)
        except KeyError as error:
            wanted = error.args[0] if error.args else None
            if not isinstance(wanted, str) or wanted in published.state:
                raise  # it is not the file that lacks it
            count = f"{len(published.state)} tensors: {listed(sorted(published.state))}"
            raise WeightsError(
                f"{path} has no {listed([wanted])}, which {name} is made of; it has {count}; {_config_hint(purpose)}"
            ) from error
        except (RuntimeError, ValueError, IndexError) as error:  # what putting together tensors of odd shapes raises
            if authoring():
                raise
            why = next(iter(str(error).splitlines()), type(error).__name__)[:200]
            raise WeightsError(
                f"the tensors of {path} do not go together to {name} ({why}); {_config_hint(purpose)}"
            ) from error
        if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
            raise PluginError("the contract is a dict of tensors by their names in the model")
    return found, sorted(left_over)


def _config_hint(purpose: Purpose) -> str:
    """What the user may have to change."""
    values = config_to_dict(purpose.config)
    if not values:
        return "it is of another model, or of another edition of it"
    written = [f"{key}={','.join(map(str, each)) if isinstance(each, list) else each}" for key, each in values.items()]
    return f"say with --set what its config was, here it is {', '.join(written)}"
