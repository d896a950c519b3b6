"""From a record back to what it was made with: the cell, its dataset and its metrics, as far as they are installed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .contamination import seen
from .errors import ConfigError, RecordError, UsageError, WeightsError
from .evaluation import Cell, fitted_on
from .instances import Made, configured, fingerprint_of, make_metric, open_dataset
from .protocols import Dataset
from .registry import Provided, Registry
from .results import Record
from .settings import Settings
from .specs import DatasetSpec, ModelSpec
from .tasks import Task
from .weights import WeightsFile


def remade(
    record: Record,
    registry: Registry,
    weights: Sequence[Path] = (),
    file: str | None = None,
    settings: Settings | None = None,
) -> tuple[Cell, Dataset]:
    """The cell of a record and its dataset, from what is installed.

    weights   files to take the record's weights from, where no plugin ships them
    file      of the model, where it is no plugin's: path/to/file.py:Class
    settings  where the files of the dataset are, which a record does not say

    Raises RecordError where the record is of another version of model or dataset than is installed, WeightsError where
    its weights are not there.
    """
    try:
        return _remade(record, registry, weights, file, settings)
    except (ConfigError, TypeError) as error:  # a config or task that this version does not know
        raise RecordError(f"{record.path} cannot be made again here: {error}") from error


def _remade(
    record: Record, registry: Registry, weights: Sequence[Path], file: str | None, settings: Settings | None
) -> tuple[Cell, Dataset]:
    identity, path = record.identity, record.path
    _check_made_here(record)
    model = registry.model(file or identity["model"]["name"])
    if model.spec.name != identity["model"]["name"]:
        raise UsageError(f"{path} is of model {identity['model']['name']}, {file} is {model.spec.name}")
    _check_version(record, "model", model.spec)
    dataset, config, opened = _dataset(record, registry, settings)
    fingerprint = _fingerprint(record, dataset, opened)
    given = _weights(record, model.spec, weights)
    cell = Cell(
        model=model,
        config=configured(model, identity["model"]["config"]),
        weights=given,
        dataset=dataset,
        dataset_config=config,
        fingerprint=fingerprint,
        fitted_on=fitted_on(model, dataset, opened),
        task=Task(**identity["task"]),
        clips=identity["clips"],
        seed=identity["seed"],
        split=identity["split"],
        precision=identity["dtype"],
        in_time=identity["model"].get("in_time"),
        seen=seen(given.header, dataset, opened, identity["split"], registry) if given else "",
    )
    if cell.identity != identity:
        differing = [key for key in identity if cell.identity.get(key) != identity[key]]
        raise RecordError(f"{path} cannot be made again here: {', '.join(differing)} differ from what is installed")
    return cell, opened


def dataset_of(
    record: Record, registry: Registry, settings: Settings | None = None
) -> tuple[Provided[DatasetSpec], Dataset]:
    """The dataset of a record, where its model does not matter. Raises RecordError where it is another one by now.

    settings  where its files are, which a record does not say
    """
    try:
        provided, _, opened = _dataset(record, registry, settings)
    except ConfigError as error:
        raise RecordError(f"{record.path} cannot be made again here: {error}") from error
    _fingerprint(record, provided, opened)
    return provided, opened


def _fingerprint(record: Record, provided: Provided[DatasetSpec], opened: Dataset) -> str:
    """That of the record's split. Raises RecordError where it is another one by now."""
    found = fingerprint_of(provided, opened, record.identity["split"])
    if found != record.dataset["fingerprint"]:
        raise RecordError(f"{record.path}: {provided.spec.name} has other frames here than it was made with")
    return found


def _dataset(
    record: Record, registry: Registry, settings: Settings | None
) -> tuple[Provided[DatasetSpec], Any, Dataset]:
    provided = registry.dataset(record.dataset["name"])
    _check_version(record, "dataset", provided.spec)
    places = settings.places_of(provided) if settings else {}
    config = configured(provided, {**record.dataset["config"], **places})
    return provided, config, open_dataset(provided, config)


def _check_made_here(record: Record) -> None:
    """Predictions of another program, or of what only its memory held, cannot be made again by this one."""
    if predictions := record.about.get("elsewhere"):
        raise RecordError(
            f"{record.path}: its predictions (sha256 {str(predictions)[:12]}...) were made elsewhere, so nothing here "
            "can make them again; who has them can score them again with vpbench score"
        )
    if record.about.get("in_memory"):
        raise RecordError(
            f"{record.path}: its model was an object in a program's memory, so it cannot be made again from here; "
            "evaluate it again in that program, or make it a plugin or a class in a file"
        )


def _check_version(record: Record, what: str, spec: ModelSpec | DatasetSpec) -> None:
    was = record.identity[what]["version"]
    if spec.version != was:
        raise RecordError(f"{record.path} was made with {what} {spec.name} version {was}, installed is {spec.version}")


def _weights(record: Record, spec: ModelSpec, given: Sequence[Path]) -> WeightsFile | None:
    sha256 = record.model["weights_sha256"]
    if sha256 is None:
        return None
    for each in spec.weights:
        if each.sha256 == sha256:
            return WeightsFile.bundled(each)
    for path in given:
        file = WeightsFile.open(path)
        if file.sha256 == sha256:
            return file
    raise WeightsError(
        f"{record.path}: its weights ({sha256[:12]}…) do not ship with {spec.name}: give them with --weights FILE"
    )


def metrics_of(record: Record, registry: Registry) -> tuple[dict[str, Made], tuple[str, ...]]:
    """The record's metrics in the config they were measured in, and the names of those that cannot be made here.

    That is where one is not installed at its version, or needs a file that is not here.
    """
    found = {}
    for name, score in record.scores.items():
        provided = registry.metrics().get(name)
        if provided is None or (provided.spec.version, provided.distribution) != (
            score["version"],
            score["distribution"],
        ):
            continue
        with suppress(ConfigError):
            made = make_metric(provided, score.get("config", {}))
            if not made.why_not:
                found[name] = made
    return found, tuple(name for name in record.scores if name not in found)
