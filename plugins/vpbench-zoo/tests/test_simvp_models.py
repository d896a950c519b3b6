"""SimVP, SimVPv2 and TAU as models of the harness: sizes, blocks, precision, and what they refuse."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import vpbench_zoo.simvp
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from vpbench_zoo import simvp_specs
from vpbench_zoo.simvp import BlockModel, SimVP, SimVPGSTA
from vpbench_zoo.simvp_config import (
    GSTAConfig,
    IncepUConfig,
    SmallGSTAConfig,
    SmallIncepUConfig,
    SmallTAUConfig,
    TAUConfig,
)
from vpbench_zoo.tau import TAU

from vpbench import Context, TrainBatch
from vpbench.errors import Refused

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SPECS = {spec.name: spec for spec in simvp_specs.SPECS}

TINY: dict[str, Any] = {"hid_s": 8, "hid_t": 16, "n_s": 2, "n_t": 2}
KINDS = ["simvp", "simvp-gsta", "tau"]


def made(kind: str, context: int = 4, shape: tuple[int, int, int] = (1, 8, 8), **options: Any) -> BlockModel:
    torch.manual_seed(0)
    how = {"frame_shape": shape, "context_length": context}
    model: BlockModel
    if kind == "simvp":
        model = SimVP(IncepUConfig(**{**TINY, "groups": 4, **options}), **how)
    elif kind == "simvp-gsta":
        model = SimVPGSTA(GSTAConfig(**{**TINY, "mlp_ratio": 2.0, **options}), **how)
    else:
        model = TAU(TAUConfig(**{**TINY, "mlp_ratio": 2.0, **options}), **how)
    return model.eval()


def given(batch: int, length: int, shape: tuple[int, int, int] = (1, 8, 8), device: str = "cpu") -> Context:
    torch.manual_seed(1)
    times = torch.arange(length, dtype=torch.float64).expand(batch, -1)
    return Context(torch.rand(batch, length, *shape).to(device), times, torch.zeros(batch, dtype=torch.int64))


def after(context: Context, *steps: int) -> Tensor:
    return context.times[:, -1:] + torch.tensor(steps, dtype=torch.float64)


def predicted(model: BlockModel, context: Context, *steps: int) -> Tensor:
    with torch.inference_mode():
        return model.predict(context, after(context, *steps))


def noted(module: nn.Module, calls: list[int]) -> Any:
    """Note how many images go through a module, call by call."""
    return module.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))


# --------------------------------------------------------------------------------------------------------------- sizes


def on_meta(factory: Any, config: Any, side: int) -> BlockModel:
    with torch.device("meta"):
        return factory(config, frame_shape=(1, side, side), context_length=10).eval()


@pytest.mark.parametrize(
    ("factory", "config", "parameters", "millions", "giga_macs"),
    [
        (SimVP, IncepUConfig(), 57_946_113, 58.0, 19.4),
        (SimVPGSTA, GSTAConfig(), 46_769_665, 46.8, 16.5),
        (TAU, TAUConfig(), 44_656_001, 44.7, 16.0),
    ],
)
def test_the_full_size_is_the_one_that_openstl_reports(
    factory: Any, config: Any, parameters: int, millions: float, giga_macs: float
) -> None:
    model = on_meta(factory, config, 64)
    assert sum(each.numel() for each in model.parameters()) == parameters
    assert parameters / 1e6 == pytest.approx(millions, abs=0.06)
    assert flops(model, 64) / 2e9 == pytest.approx(giga_macs, abs=0.15)  # theirs counts norms too


@pytest.mark.parametrize(
    ("factory", "config"), [(SimVP, SmallIncepUConfig()), (SimVPGSTA, SmallGSTAConfig()), (TAU, SmallTAUConfig())]
)
def test_the_small_size_takes_two_giga_flops_for_ten_frames(factory: Any, config: Any) -> None:
    assert 1.7e9 < flops(on_meta(factory, config, 32), 32) < 2.2e9


def flops(model: BlockModel, side: int) -> int:
    context = given(1, 10, (1, side, side), device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert model.predict(context, after(context, *range(1, 11))).shape == (1, 10, 1, side, side)
    return counter.get_total_flops()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_takes_part(kind: str) -> None:
    model, context = made(kind).train(), given(2, 4)
    model.loss(TrainBatch(context, after(context, 1, 2, 3, 4), torch.rand(2, 4, 1, 8, 8)), progress=0.0)[
        "loss"
    ].backward()
    assert [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()] == []


def test_attention_starts_as_published() -> None:
    """OpenSTL starts gSTA's attention as its MLP, with variance 2 / fan out; TAU's it makes later, as torch does."""
    for kind, width in (("simvp-gsta", 64), ("tau", 64)):
        block = made(kind, hid_s=32, hid_t=width, context=2).translator.blocks[0]
        wide, mix = block.mlp.widen, block.attention.before
        assert wide.weight.std().item() == pytest.approx(math.sqrt(2 / wide.out_channels), rel=0.05)
        limit = math.sqrt(2 / mix.out_channels) if kind == "simvp-gsta" else math.sqrt(1 / mix.in_channels / 3)
        assert mix.weight.std().item() == pytest.approx(limit, rel=0.05)
        assert bool(mix.bias.any()) == (kind == "tau")


# -------------------------------------------------------------------------------------------------------------- blocks


@pytest.mark.parametrize(("block", "passes"), [(0, [1] * 9), (18, [1]), (5, [1] * 4), (1, [1] * 18)])
def test_eighteen_frames_after_two_take_as_many_passes_as_blocks(block: int, passes: list[int]) -> None:
    model, translated = made("simvp", context=2, block=block), []
    noted(model.translator, translated)
    assert predicted(model, given(1, 2), *range(1, 19)).shape == (1, 18, 1, 8, 8)
    assert translated == passes


def test_what_fills_a_block_up_is_encoded_once_and_what_nobody_asked_for_is_not_decoded() -> None:
    model, encoded, decoded = made("simvp", context=2, block=6), [], []
    noted(model.encoder, encoded)
    noted(model.decoder, decoded)
    predicted(model, given(3, 2), 1, 2, 3, 4, 5, 6, 7)
    assert encoded == [3 * 2, 3 * 6]
    assert decoded == [3 * 6, 3 * 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [0, 3, 6])
def test_any_frames_can_be_asked_for(kind: str, block: int) -> None:
    model, context = made(kind, block=block), given(2, 4)
    whole = predicted(model, context, *range(1, 12))
    some = predicted(model, context, 2, 7, 11)
    torch.testing.assert_close(some, whole[:, [1, 6, 10]], atol=1e-5, rtol=0)
    times = context.times[:, -1:] + torch.tensor([[1.0, 9.0], [4.0, 5.0]])  # of each clip others
    with torch.inference_mode():
        mixed = model.predict(context, times)
    torch.testing.assert_close(mixed, torch.stack([whole[0, [0, 8]], whole[1, [3, 4]]]), atol=1e-5, rtol=0)


def test_many_frames_are_coded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, context = made("simvp"), given(2, 4)
    whole, encoded = predicted(model, context, 1, 2, 3), []
    monkeypatch.setattr(vpbench_zoo.simvp, "CHUNK", 3)
    noted(model.encoder, encoded)
    torch.testing.assert_close(predicted(model, context, 1, 2, 3), whole, atol=1e-5, rtol=0)
    assert encoded == [3, 3, 2]


def test_the_frame_before_stands_for_a_missing_one() -> None:
    model, context = made("simvp-gsta"), given(2, 4)
    observed = torch.tensor([[True, False, False, True], [False, True, True, False]])
    dark = context.frames * observed[:, :, None, None, None]
    held = dark.clone()
    held[0, 1] = held[0, 2] = dark[0, 0]
    held[1, 3] = dark[1, 2]
    found = predicted(model, dataclasses.replace(context, frames=dark, observed=observed), 1, 2)
    torch.testing.assert_close(found, predicted(model, dataclasses.replace(context, frames=held), 1, 2))


# ------------------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize(("block", "horizon"), [(0, 4), (3, 3), (9, 9)])
def test_training_is_on_one_pass(block: int, horizon: int) -> None:
    task = made("tau", block=block).sampling(0.3)
    assert (task.context, task.horizon, task.first, task.targets) == (4, horizon, 1, None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_is_cut_where_there_are_fewer_targets(kind: str) -> None:
    model, context, target = made(kind), given(2, 4), torch.rand(2, 2, 1, 8, 8)
    decoded: list[int] = []
    noted(model.decoder, decoded)
    with torch.no_grad():
        losses = model.loss(TrainBatch(context, after(context, 1, 2), target), progress=0.0)
    assert decoded == [2 * 2]
    mse = (predicted(model, context, 1, 2).double() - target.double()).square().mean().item()
    assert losses["mse"].item() == pytest.approx(mse, rel=1e-5)


def test_tau_has_no_divergence_of_a_single_target() -> None:
    model, context = made("tau"), given(2, 4)
    losses = model.loss(TrainBatch(context, after(context, 1), torch.rand(2, 1, 1, 8, 8)), progress=0.0)
    assert losses["divergence"].item() == 0
    assert losses["loss"].item() == losses["mse"].item()


def test_alpha_weighs_the_divergence() -> None:
    context = given(2, 4)
    batch = TrainBatch(context, after(context, 1, 2, 3), torch.rand(2, 3, 1, 8, 8))

    def losses(**options: float) -> Mapping[str, Tensor]:
        return {name: value.detach() for name, value in made("tau", **options).loss(batch, progress=0.0).items()}

    plain, more = losses(alpha=0.0), losses(alpha=2.0)
    assert plain["loss"] == plain["mse"] == more["mse"]
    torch.testing.assert_close(more["loss"], more["mse"] + 2 * more["divergence"])
    assert losses(temperature=1.0)["divergence"] < plain["divergence"] / 10


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_gives_nearly_the_same_loss_and_gradients(kind: str) -> None:
    context, found = given(2, 4), {}
    batch = TrainBatch(context, after(context, 1, 2, 3, 4), torch.rand(2, 4, 1, 8, 8))
    for half in (False, True):
        model = made(kind).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            losses = model.loss(batch, progress=0.0)
        losses["loss"].backward()
        assert {value.dtype for value in losses.values()} == {torch.float32}
        found[half] = losses["loss"].item(), torch.cat([each.grad.flatten() for each in model.parameters()])
    assert found[True][0] == pytest.approx(found[False][0], rel=0.02)
    assert torch.isfinite(found[True][1]).all()
    assert torch.cosine_similarity(found[True][1], found[False][1], dim=0) > 0.98


def test_half_precision_predicts_float32() -> None:
    model, context = made("tau"), given(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        half = predicted(model, context, *range(1, 10))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, predicted(model, context, *range(1, 10)), atol=0.05, rtol=0.05)


def test_compiled_it_is_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, called = torch.compile, []

    def compiled(function: Any) -> Any:
        called.append(function)
        return compiler(function, backend="eager")  # what is captured is the matter here, not what is made of it

    monkeypatch.setattr(torch, "compile", compiled)
    plain, fast, context = made("simvp"), made("simvp", compile=True), given(2, 4)
    assert len(called) == 1
    assert list(fast.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(predicted(fast, context, *range(1, 7)), predicted(plain, context, *range(1, 7)))


# ------------------------------------------------------------------------------------------------- what does not work


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"block": -1}, "block must be a number of frames"),
        ({"hid_s": 3}, "hid_s must be even"),
        ({"n_s": 3}, "n_s must be even"),
        ({"n_t": 1}, "n_t must be at least 2"),
        ({"hid_s": 6}, "hid_s must be a multiple of groups=4"),
        ({"hid_t": 12}, "hid_t must be a multiple of 2·groups=8"),
        ({"groups": 0}, "groups must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_a_bad_option_of_simvp_is_explained(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made("simvp", **options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"mlp_ratio": 0.5}, "mlp_ratio must be at least 1"),
        ({"hid_t": 3}, "hid_t must be at least 4"),
        ({"alpha": -0.1}, "alpha must be finite and not negative"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"block": 1}, "block must be at least 2"),
    ],
)
def test_a_bad_option_of_tau_is_explained(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        made("tau", **options)


def test_frames_that_cannot_be_halved_are_refused_with_sizes_that_can() -> None:
    with pytest.raises(Refused, match=r"simvp-gsta needs .* multiples of 4 .*got 30×32: .*32 would do"):
        made("simvp-gsta", shape=(1, 30, 32), n_s=4)


def test_tau_refuses_blocks_of_one_frame() -> None:
    with pytest.raises(Refused, match="set block=2 or more"):
        made("tau", context=1)
    assert predicted(made("tau", context=1, block=2), given(1, 1), 1, 2, 3).shape == (1, 3, 1, 8, 8)


# -------------------------------------------------------------------------------------------------------------- README


def test_the_readme_lists_every_option_with_its_defaults() -> None:
    names = ["simvp", "simvp-small", "simvp-gsta", "simvp-gsta-small", "tau", "tau-small"]
    assert f"| option | {' | '.join(f'`{name}`' for name in names)} |" in README
    documented: dict[str, dict[str, str]] = {name: {} for name in names}
    section = README.partition("| option | `simvp`")[2].partition("\n\n")[0]
    for line in section.splitlines()[2:]:
        option, *values = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for name, value in zip(names, values[:6], strict=True):
            documented[name] |= {option: value} if value else {}
    for name in names:
        fields = dataclasses.fields(SPECS[name].load_config())
        assert documented[name] == {field.name: str(field.default) for field in fields}


def test_the_readme_tells_the_sizes() -> None:
    for small, name in ((False, "simvp"), (True, "simvp"), (False, "tau"), (True, "tau"), (True, "simvp-gsta")):
        spec = SPECS[f"{name}-small" if small else name]
        model = on_meta(spec.load(), spec.load_config()(), 32 if small else 64)
        parameters = sum(each.numel() for each in model.parameters())
        giga = flops(model, 32 if small else 64) / 1e9
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` | ")]
        assert f"{parameters:,}" in row
        assert (f"{giga:.2f} GFLOP" if small else f"{giga:.1f} GFLOP") in row
