"""What was written for a contract of the past works on: docs/compatibility.md promises it, these tests hold it.

`tests/data/plugins/api1` is a plugin as its author left it, with weights that were trained then, and what the contract
was. Nothing there is ever edited: what does not work any more is broken here, not there.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import re
from dataclasses import MISSING
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

import vpbench
from vpbench import deprecations, hookspecs, protocols, registry, results, specs
from vpbench.deprecations import Deprecation, deprecation_lines
from vpbench.specs import CAPABILITIES, DatasetSpec, MetricSpec, ModelSpec

ROOT = Path(__file__).parents[1]
API1 = ROOT / "tests" / "data" / "plugins" / "api1"

#: sha256 over the names and contents of all its files.
DIGEST = "1848aa567689f903b1f723b0717f2fc17e4bd5b7b0b7e974d7dfb62315a50179"

# ------------------------------------------------------------------------------------------------------- the old plugin


def digest(folder: Path) -> str:
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(
            f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    return found.hexdigest()


def test_the_plugin_of_api_1_is_as_it_was_left():
    assert digest(API1) == DIGEST, "tests/data/plugins/api1 is never edited; a new api gets a folder beside it"


@pytest.fixture
def old(bench, monkeypatch):
    """The command line where nothing but the plugin of api 1 is installed."""
    monkeypatch.syspath_prepend(API1)
    monkeypatch.setenv("VPBENCH_PLUGINS", "api1")
    return bench


@pytest.fixture
def old_registry(monkeypatch):
    monkeypatch.syspath_prepend(API1)
    distribution = PathDistribution(API1 / "api1_plugin-1.0.dist-info")
    return registry.load(distribution.entry_points.select(group="vpbench"))


def test_it_loads_whole_and_without_a_word(old):
    result = old("plugins")
    assert (result.exit_code, result.stderr) == (0, "")
    names = {line.split()[1] for line in result.stdout.splitlines()[1:]}
    assert names == {
        *("api1-fade", "api1-mean", "api1-knowing", "api1-slope", "api1-growing"),
        *("api1-error", "api1-beyond-range", "api1-set"),
    }


def brightness(split: str, clip: int, time: int) -> float:
    """Of every pixel, as the dataset's docstring has it."""
    return (10 * ({"train": 0, "val": 4, "test": 8}[split] + clip) + time) / 255


#: Model -> its prediction for a test clip, `steps` after a context of two frames.
PREDICTIONS = {
    "api1-fade": lambda clip, steps: brightness("test", clip, 1) * 0.8**steps,
    "api1-knowing": lambda clip, steps: brightness("test", clip, 1 + steps),
    "api1-mean": lambda clip, steps: sum(brightness("train", c, t) for c in range(4) for t in range(20)) / 80,
    "api1-slope": lambda clip, steps: brightness("test", clip, 1) + steps / 255,  # it was trained till it knew
}


def test_it_runs_with_the_weights_of_then_and_gives_the_numbers_of_then(old):
    metrics = [word for name in ("api1-error", "api1-beyond-range", "api1-set") for word in ("--metric", name)]
    asked = [
        "--model",
        "api1-fade",
        "--model",
        "api1-slope",
        "--dataset",
        "api1-growing",
        "--context",
        2,
        "--horizon",
        4,
    ]
    changed = ["--set", "fade=0.8", "--set", "api1-error.scale=2", "--set", "places=elsewhere"]
    result = old("run", *asked, *metrics, *changed, "--clips", 4)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    for name, predict in PREDICTIONS.items():
        record = old.record(name, 4)
        assert record["identity"]["dataset"]["config"] == {"size": 4, "kind": "bytes", "shown": True, "missing": []}
        pairs = [
            (predict(clip, steps), brightness("test", clip, 1 + steps)) for clip in range(4) for steps in range(1, 5)
        ]
        squared = sum((a - b) ** 2 for a, b in pairs) / len(pairs)
        apart = abs(sum(a for a, _ in pairs) - sum(b for _, b in pairs)) / len(pairs)
        scores = {key: score["value"] for key, score in record["scores"].items()}
        assert scores["api1-error"] == pytest.approx(2 * squared**0.5, rel=1e-5, abs=2e-7)
        assert scores["api1-set"] == pytest.approx(apart, rel=1e-5, abs=2e-7)
        assert scores["api1-beyond-range"] == pytest.approx(0, abs=1e-6)
    assert old.record("api1-fade", 4)["cost"]["model_stats"]["asked"] >= 1
    assert "flat frames" in old.record("api1-fade", 4)["about"]["caveat"]


def test_its_model_is_trained(old):
    line = ["train", "--model", "api1-slope", "--dataset", "api1-growing", "--context", 2, "--horizon", 4]
    result = old(*line, "--budget", "40updates", "--batch-size", 4, "--output", "slope.safetensors")
    assert result.exit_code == 0, result.output
    shown = old("run", *line[1:], "--weights", "slope.safetensors", "--metric", "api1-error", "--clips", 2)
    assert shown.exit_code == 0, shown.output
    assert old.record("api1-slope", 4)["about"]["training"]["updates"] == 40


def test_its_frames_may_be_shown_otherwise_or_be_missing(old):
    run = ["run", "--model", "api1-fade", "--dataset", "api1-growing", "--context", 2, "--metric", "api1-error"]
    result = old(*run, "--horizon", 1, "--clips", 2, "--set", "shown=false", "--set", "fade=1")
    assert result.exit_code == 0, result.output
    halves = [(brightness("test", clip, 1) * 255 // 2 / 255, brightness("test", clip, 2)) for clip in range(2)]
    expected = (sum((a - b) ** 2 for a, b in halves) / 2) ** 0.5
    assert old.record("api1-fade")["scores"]["api1-error"]["value"] == pytest.approx(expected, rel=1e-5)
    failed = old(*run, "--horizon", 1, "--clips", 2, "--set", "missing=1", "--results", "missing")
    assert failed.exit_code == 1
    assert old.record("api1-fade", results="missing")["reason"]["message"] == "the last frame is missing"


def test_a_place_that_holds_no_data_is_one_line(old, ends_with):
    run = ["run", "--model", "api1-fade", "--dataset", "api1-growing", "--context", 2, "--horizon", 1]
    ends_with(old(*run, "--set", "places=nowhere"), 4, "api1-growing is not at nowhere: set places")
    assert old("data", "get", "api1-growing").exit_code == 0


# ---------------------------------------------------------------------------------------------------- the old contract


#: What plugins make, and so may only gain fields that can be left out.
MADE_BY_PLUGINS = (
    *(vpbench.ModelSpec, vpbench.DatasetSpec, vpbench.MetricSpec, vpbench.TruthField, vpbench.Weights),
    *(vpbench.Clips, vpbench.DatasetInfo, vpbench.TrainTask),
)
#: What they are given, and so may gain any field.
GIVEN_TO_PLUGINS = (vpbench.Context, vpbench.TrainBatch, vpbench.Scored)

PROTOCOLS = (
    *(protocols.Model, protocols.Sampler, protocols.Swappable, protocols.Oracle, protocols.Fittable),
    *(protocols.Trainable, protocols.Dataset, protocols.Metric, protocols.SetMetric),
)


def need(field: dataclasses.Field) -> str:
    """How a field is given: "required", "optional by keyword", ..."""
    given = "required" if field.default is MISSING and field.default_factory is MISSING else "optional"
    return f"{given} by keyword" if field.kw_only else given


def contract() -> dict[str, object]:
    """The contract of today, as `contract.json` has that of then."""
    of_plugins = {name for module in (specs, protocols, hookspecs) for name in vars(module)}
    return {
        "public": sorted(of_plugins.intersection(vpbench.__all__)),
        "hooks": sorted(registry.HOOKS),
        "capabilities": sorted(CAPABILITIES),
        "fields": {
            made.__name__: {each.name: need(each) for each in dataclasses.fields(made)}
            for made in (*MADE_BY_PLUGINS, *GIVEN_TO_PLUGINS)
        },
        "methods": {
            protocol.__name__: {
                name: [f"{each.kind.description} {each.name}" for each in inspect.signature(method).parameters.values()]
                for name, method in vars(protocol).items()
                if inspect.isfunction(method) and not name.startswith("_")
            }
            for protocol in PROTOCOLS
        },
    }


def breaks(then: dict, now: dict) -> list[str]:
    """What of the contract of then is no longer, or is more than a plugin of then can know."""
    found = [
        f"{what} {name} is gone"
        for what in ("public", "hooks", "capabilities")
        for name in sorted(set(then[what]) - set(now[what]))
    ]
    made = {each.__name__ for each in MADE_BY_PLUGINS}
    for record, fields in then["fields"].items():
        today = now["fields"].get(record, {})
        found += [f"{record}.{field} is gone" for field in fields if field not in today]
        found += [
            f"{record}.{field} must be given now"
            for field, how in today.items()
            if record in made and how.startswith("required") and not fields.get(field, "").startswith("required")
        ]
        # what may be given by its place keeps it
        places = [field for field, how in fields.items() if "keyword" not in how and field in today]
        if [field for field, how in today.items() if "keyword" not in how][: len(places)] != places:
            found.append(f"{record} has its fields in another order")
    for protocol, methods in then["methods"].items():
        for name, signature in methods.items():
            today = now["methods"].get(protocol, {}).get(name)
            if today != signature:
                found.append(f"{protocol}.{name} is {today}, was {signature}")
        found += [
            f"{protocol}.{name} must be there now" for name in now["methods"].get(protocol, {}) if name not in methods
        ]
    return found


def test_the_contract_of_api_1_has_only_been_added_to():
    then = json.loads((API1 / "contract.json").read_text(encoding="utf-8"))
    assert breaks(then, contract()) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda now: now["public"].remove("Weights"), "public Weights is gone"),
        (lambda now: now["capabilities"].remove("swap"), "capabilities swap is gone"),
        (lambda now: now["fields"]["ModelSpec"].pop("role"), "ModelSpec.role is gone"),
        (lambda now: now["fields"]["ModelSpec"].update(role="required"), "ModelSpec.role must be given now"),
        (lambda now: now["fields"]["MetricSpec"].update(new="required"), "MetricSpec.new must be given now"),
        (
            lambda now: now["fields"].update(Clips=dict(reversed(now["fields"]["Clips"].items()))),
            "Clips has its fields in another order",
        ),
        (lambda now: now["methods"]["Dataset"].update(length=[]), "Dataset.length must be there now"),
        (lambda now: now["methods"]["Model"]["predict"].append("keyword-only extra"), "Model.predict is "),
    ],
)
def test_a_change_that_breaks_old_plugins_is_seen(change, complaint):
    now = json.loads(json.dumps(contract()))
    change(now)
    assert [each.startswith(complaint) for each in breaks(contract(), now)] == [True]


@pytest.mark.parametrize(
    "change",
    [
        lambda now: now["fields"]["ModelSpec"].update(new="optional"),
        lambda now: now["fields"]["Context"].update(new="required"),
        lambda now: now["capabilities"].append("new"),
    ],
)
def test_what_is_optional_may_be_added(change):
    now = json.loads(json.dumps(contract()))
    change(now)
    assert breaks(contract(), now) == []


# -------------------------------------------------------------------------------------------------- numbers and endings


def test_a_spec_that_names_no_api_was_written_for_the_first():
    assert ModelSpec(name="m", factory="m:M", summary="", version="1").api == 1


@pytest.mark.parametrize(("api", "advice"), [(99, "upgrade vpbench"), (0, "upgrade the plugin")])
def test_a_spec_of_an_api_that_is_not_spoken_is_refused_with_what_to_do(api, advice):
    with pytest.raises(ValueError, match=rf"'m' was written for plugin api {api}, this vpbench speaks 1: {advice}$"):
        ModelSpec(name="m", factory="m:M", summary="", version="1", api=api)


ENDING = Deprecation(record=ModelSpec, field="channels", ends="2.0", instead="say so in `assumptions`")


def test_nothing_is_said_where_nothing_ends(old_registry):
    assert deprecation_lines(old_registry, deprecations.DEPRECATIONS, specs.APIS) == []


def test_an_ending_field_is_told_of_the_plugin_that_uses_it(old_registry):
    assert deprecation_lines(old_registry, [ENDING], specs.APIS) == [
        "api1-plugin 1.0 (api1): ModelSpec.channels ends with vpbench 2.0: say so in `assumptions`"
    ]
    for record, field in ((ModelSpec, "fits_at_test"), (DatasetSpec, "reads"), (MetricSpec, "cites")):
        unused = dataclasses.replace(ENDING, record=record, field=field)
        assert deprecation_lines(old_registry, [unused], specs.APIS) == []


def test_an_ending_api_is_one_line_per_plugin_on_every_command_that_loads_it(old, monkeypatch, ends_with):
    monkeypatch.setattr(specs, "APIS", {1: "2.0", 2: None})
    monkeypatch.setattr(deprecations, "DEPRECATIONS", (ENDING,))
    result = old("plugins")
    line = ends_with(result, 0, "plugin to be upgraded: api1-plugin 1.0 (api1): ")
    assert "written for plugin api 1, which ends with vpbench 2.0: upgrade it to api 2; " in line
    assert line.endswith("ModelSpec.channels ends with vpbench 2.0: say so in `assumptions`")


def test_the_page_states_the_numbers_of_the_code():
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(api|schema)` (\d+) \| ([^|]*) \|", page, flags=re.MULTILINE)
    stated = {(what, int(number)): ends.strip() for what, number, ends in rows}
    spoken = {("api", number): ends or "no end announced" for number, ends in specs.APIS.items()}
    read = {("schema", number): "no end: upgraded when read" for number in range(1, results.SCHEMA + 1)}
    assert stated == {**spoken, **read}
    ending = {f"{each.record.__name__}.{each.field}" for each in deprecations.DEPRECATIONS}
    assert ending == set(re.findall(r"^\| `(\w+Spec\.\w+)` \|", page, flags=re.MULTILINE))
