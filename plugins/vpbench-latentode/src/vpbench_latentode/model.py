"""`latentode`: encode the context into state and appearance, move the state by an ODE, decode (report, Figure 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vpbench import Context, TrainBatch, TrainTask
from vpbench.errors import ModelFailed, Refused

from .config import ADAPTIVE_SOLVERS, Config
from .critics import Critic, of_frames, of_sequences
from .losses import critic_loss, fooling_loss, permutation_loss, shuffled
from .network import SMALLEST_SIDE, AppearanceField, Decoder, Encoder, TimeNetwork, VectorField
from .ode import Field, rk4_hermite, torchdiffeq_solve
from .perceptual import perceptual_loss, trained_features

DECODE_CHUNK = 256  # frames decoded at once: large enough to keep every core busy, small enough for any memory


class LatentODE(nn.Module):
    """The disentangled latent ODE of "Continuous motion interpolation with neural differential equations", section 6.

    The appearance code is constant in time, only the state moves: so two clips that swap codes swap their looks.
    Protocols: `Model`, `Swappable`, `Trainable`.
    """

    def __init__(self, config: Config, *, frame_shape: tuple[int, int, int], context_length: int) -> None:
        super().__init__()
        if min(frame_shape[1:]) < SMALLEST_SIDE:
            height, width = frame_shape[1:]
            raise Refused(f"latentode needs frames of at least {SMALLEST_SIDE} pixels a side, got {height}×{width}")
        if config.permutation_weight and context_length < 2:
            raise Refused("permutation_weight shuffles context frames, so it needs a context of 2 or more")
        self.config = config
        self.context_length = context_length
        self.encoder = Encoder(config, frame_shape, context_length)
        self.field = VectorField(config) if config.transport == "ode" else TimeNetwork(config)
        self.decoder = Decoder(config, frame_shape, self.encoder.grid)
        # What follows is there only where it is asked for, so that weights of before fit.
        if config.appearance_dynamics == "ode":
            self.appearance_field = AppearanceField(config.appearance)
        critics = nn.ModuleDict()
        if config.frame_critic_weight:
            critics["frame"] = Critic(frame_shape[0])
        if config.sequence_critic_weight:
            critics["sequence"] = Critic(config.train_targets * frame_shape[0])
        self.critics = critics
        # Neither parameters nor state of this model: hidden in a tuple, which torch does not look into.
        self._features = (trained_features(frame_shape),) if config.perceptual_weight else ()
        self._shown: tuple[TrainBatch, Tensor] | None = None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs do not know it
        self._evaluations = 0

    # ------------------------------------------------------------------------------------------------------ prediction

    def predict(self, context: Context, target_times: Tensor) -> Tensor:
        """float32 (B, Tt, C, H, W) in [0, 1]; target times may be fractional and before the last context frame."""
        state, appearance = self.encoder(context.frames)
        return self._decode(self._code(state, appearance, context, target_times))

    def swap(self, dynamics: Context, appearance: Context, target_times: Tensor) -> Tensor:
        """As `predict` for the motion of `dynamics`, with the looks of `appearance` (report, Figure 12).

        Without an appearance code (appearance=0) there is nothing to swap: it is the prediction of `dynamics`.
        """
        state, _ = self.encoder(dynamics.frames)
        _, looks = self.encoder(appearance.frames)
        return self._decode(self._code(state, looks, dynamics, target_times))

    def codes(self, context: Context, target_times: Tensor) -> Mapping[str, Tensor]:
        """What the decoder sees at the target times: "dynamics" (B, Tt, dynamics) and, if there is one, "appearance".

        That is (B, appearance), or (B, Tt, appearance) where an ODE moves it. "velocity" (B, Tt, dynamics) is the rest
        of the state, where there is one.
        """
        config = self.config
        state, appearance = self.encoder(context.frames)
        code, states = self._code_and_states(state, appearance, context, target_times)
        found = {"dynamics": code[..., : config.dynamics]}
        if config.transport == "ode" and config.dyn_readout == "position":
            found["velocity"] = states[..., config.dynamics :]
        if config.appearance:
            moving = config.appearance_dynamics == "ode"
            found["appearance"] = code[..., config.dynamics :] if moving else appearance.float()
        return found

    def stats(self) -> Mapping[str, float]:
        """What the last solve took: "nfe", evaluations of the vector field, each for the whole batch."""
        return {"nfe": self._evaluations}

    def _decode(self, code: Tensor) -> Tensor:
        frames = [torch.sigmoid(self.decoder(part).float()) for part in code.flatten(0, 1).split(DECODE_CHUNK)]
        return torch.cat(frames).unflatten(0, code.shape[:2])

    def _code(self, state: Tensor, appearance: Tensor, context: Context, target_times: Tensor) -> Tensor:
        """What the decoder sees: float32 (B, Tt, dynamics + appearance)."""
        return self._code_and_states(state, appearance, context, target_times)[0]

    def _code_and_states(
        self, state: Tensor, appearance: Tensor, context: Context, target_times: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, state) and (B, appearance) to what the decoder sees, and the states, float32 (B, Tt, state).

        Without an ODE there are no states but what the decoder sees of them.
        """
        config = self.config
        anchor = context.times[:, -1:] + (1.0 if config.anchor == "first-output" else 0.0)
        times = (target_times - anchor) * config.frame_dt
        # The state is integrated in float32 whatever the precision around it: rounding errors add up over many steps.
        state, appearance = state.float(), appearance.float()
        with torch.autocast(state.device.type, enabled=False):
            if isinstance(self.field, TimeNetwork):
                states = self.field(state, times)
                self._evaluations = 1
            else:
                states = self._evolve(self.field, state, times)
            if config.appearance_dynamics == "ode":
                calls = self._evaluations
                looks = self._evolve(self.appearance_field, appearance, times)
                self._evaluations += calls
            else:
                looks = appearance.unsqueeze(1).expand(-1, times.shape[1], -1)
        return torch.cat([states[..., : config.dynamics], looks], dim=-1), states

    def _evolve(self, field_of: Field, state: Tensor, times: Tensor) -> Tensor:
        """(B, D) at time 0 to float32 (B, Tt, D) at latent times (B, Tt)."""
        config = self.config
        step = config.frames_per_step * config.frame_dt
        field = _Counted(field_of)
        if config.solver == "rk4-hermite":
            states = rk4_hermite(field, state, times, step=step)
        else:
            adaptive = config.solver in ADAPTIVE_SOLVERS
            try:
                states = torchdiffeq_solve(
                    field,
                    state,
                    times,
                    method=config.solver,
                    rtol=config.rtol,
                    atol=config.atol,
                    step=None if adaptive else step,
                )
            except AssertionError as error:
                reason = str(error).partition("\n")[0][:100]
                raise ModelFailed(f"{config.solver} gave up: {reason}") from error
        self._evaluations = field.calls
        return states

    # -------------------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainBatch, *, progress: float, part: str = "main") -> Mapping[str, Tensor]:
        """Squared error of the decoded targets + penalty on the norm of the position latent (report, 6.3), and those of
        the losses of section 6.4 that have a weight. The part "critics" is what the critics have to learn."""
        if part == "critics":
            return self._loss_of_critics(batch)
        config, given = self.config, batch.context.frames
        views = [given, shuffled(batch)] if config.permutation_weight else [given]
        state, appearance = self.encoder(torch.cat(views))  # in one batch: batch norm sees both views alike
        (appearance, *others), state = appearance.float().split(len(given)), state[: len(given)]
        code, states = self._code_and_states(state, appearance, batch.context, batch.target_times)
        # In one piece: batch norm learns from all frames of the batch alike.
        predicted = torch.sigmoid(self.decoder(code.flatten(0, 1)).float())
        target = batch.target.flatten(0, 1)
        mse = F.mse_loss(predicted, target)
        norm = states[..., : config.state // 2].norm(dim=-1).mean()
        total, found = config.mse_weight * mse + config.latent_penalty * norm, {"mse": mse, "latent_norm": norm}
        for name, weight, value in self._extra_losses(batch, predicted, target, appearance, others, progress):
            found[name] = value
            total = total + weight * value
        return {"loss": total, **found}

    def _extra_losses(
        self,
        batch: TrainBatch,
        predicted: Tensor,
        target: Tensor,
        appearance: Tensor,
        of_shuffled: Sequence[Tensor],
        progress: float,
    ) -> Iterator[tuple[str, float, Tensor]]:
        """Name, weight and value of each loss of section 6.4 that is asked for. Frames are (B Tt, C, H, W)."""
        config = self.config
        if config.permutation_weight:
            yield "permutation", config.permutation_weight, permutation_loss(appearance, of_shuffled[0])
        if config.mae_weight:  # alone it makes frames black, the median of a pixel: so it comes in slowly beside mse
            share = progress if config.mse_weight else 1.0
            yield "mae", config.mae_weight * share, F.l1_loss(predicted, target)
        if self._features:
            network = self._features[0].to(predicted.device)
            with torch.autocast(predicted.device.type, enabled=False):
                yield "perceptual", config.perceptual_weight, perceptual_loss(network, predicted, target)
        if self.critics:
            clips = predicted.unflatten(0, batch.target.shape[:2])
            self._shown = (batch, clips.detach())
            for name, seen, weight in self._critics():
                yield f"{name}_critic", weight, fooling_loss(self.critics[name](seen(clips)))

    def _critics(self) -> Iterator[tuple[str, Callable[[Tensor], Tensor], float]]:
        """Name of each critic there is, how it sees clips, and its weight."""
        config = self.config
        if "frame" in self.critics:
            yield "frame", of_frames, config.frame_critic_weight
        if "sequence" in self.critics:
            yield "sequence", partial(of_sequences, count=config.train_targets), config.sequence_critic_weight

    def _loss_of_critics(self, batch: TrainBatch) -> Mapping[str, Tensor]:
        """Hinge loss of all critics, on the frames that the predictor has just shown them of this batch."""
        if self._shown is None or self._shown[0] is not batch:
            with torch.no_grad():
                self._shown = (batch, self.predict(batch.context, batch.target_times))
        shown, self._shown = self._shown[1], None  # so that no batch is kept
        found = {
            name: critic_loss(self.critics[name](seen(batch.target)), self.critics[name](seen(shown)))
            for name, seen, _ in self._critics()
        }
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        config = self.config
        critics = list(self.critics.parameters())
        judging = set(map(id, critics))
        own = [parameter for parameter in self.parameters() if id(parameter) not in judging]
        parts = {"main": torch.optim.AdamW(own, config.learning_rate, weight_decay=config.weight_decay)}
        if critics:
            parts["critics"] = torch.optim.AdamW(critics, config.critic_learning_rate, weight_decay=0.0)
        return parts

    def sampling(self, progress: float) -> TrainTask:
        """The near future most, for it can be known; the far future enough to learn when not to know."""
        config = self.config
        return TrainTask(
            context=self.context_length,
            first=1 - self.context_length if config.train_past else 1,
            targets=config.train_targets,
            emphasis=config.target_emphasis,
        )


class _Counted:
    """A vector field that counts how often it is asked; one per solve, so that threads cannot mix up their counts."""

    def __init__(self, field: Field) -> None:
        self.field, self.calls = field, 0

    def __call__(self, state: Tensor) -> Tensor:
        self.calls += 1
        return self.field(state)
