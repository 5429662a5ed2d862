"""The dynamic auxiliary module: a twin that follows the network and teaches it (section 3.2)."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dyn_spnet.exits import StageExits
from dyncore.network import DynamicNetwork, Output


@dataclass(frozen=True, kw_only=True)
class TwinConfig:
    """Distil execution paths and logits from a moving average of the network."""

    momentum: float = 0.7
    """Momentum coefficient m of the moving average."""
    path_weight: float = 1.0
    """Weight α of the distance between execution paths."""
    logits_weight: float = 0.5
    """Weight β of the divergence between the logits of each exit."""
    noise: bool = True
    """Let the twin hear the network's noise: paths then differ by what a step has changed. Off: it
    hears none, and paths are drawn to where noise changes nothing, so that decisions freeze."""

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), not {self.momentum}")
        for field in ("path_weight", "logits_weight"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{field} must be finite and not negative, not {value}")


class Twin(nn.Module):
    """``θᵗ = m θᵗ + (1 - m) θᵈ`` after every step, from a copy of network and exits on (Eq. 5).

    Its answers are relaxed, and its norms use the statistics of the batch, as those of the network
    in training do. Nothing of it is trained; its buffers are the network's.
    """

    def __init__(self, model: DynamicNetwork, exits: StageExits, config: TwinConfig) -> None:
        super().__init__()
        self.config = config
        self.model = copy.deepcopy(model)
        self.exits = copy.deepcopy(exits)
        self.requires_grad_(False)
        # Not AveragedModel: it asks the device for its step count, and would begin one step late.
        self._average = get_ema_multi_avg_fn(config.momentum)

    def train(self, mode: bool = True) -> "Twin":
        """As usual, but dropout stays off."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        return self

    def forward(
        self, output: Output, logits: Sequence[Float[Tensor, "batch classes"]]
    ) -> dict[str, Tensor]:
        """The terms ``path`` and ``logits`` for a network's output and the logits of its exits."""
        if output.images is None:
            raise ValueError("the twin needs output.images: what the network saw")
        noise = output.noise if self.config.noise else None
        path, own_logits = self.teach(output.images, noise)
        return {
            "path": self.config.path_weight * path_distillation(path, output.path.weight),
            "logits": self.config.logits_weight * logits_distillation(own_logits, logits),
        }

    @torch.no_grad()
    def teach(
        self,
        images: Float[Tensor, "batch channel height width"],
        noise: Float[Tensor, "batch total logit"] | None = None,
    ) -> tuple[Float[Tensor, "batch total"], list[Float[Tensor, "batch classes"]]]:
        """The weights of its execution path, and the logits of its exits."""
        output = self.model(images, noise=noise, relaxed=True)
        return output.path.weight, self.exits(output)

    @torch.no_grad()
    def follow(self, model: DynamicNetwork, exits: StageExits) -> None:
        """Take a step towards network and exits."""
        parameters = [*model.parameters(), *exits.parameters()]
        self._average(list(self.parameters()), parameters, None)
        torch._foreach_copy_(list(self.model.buffers()), list(model.buffers()))


def path_distillation(
    teacher: Float[Tensor, "batch total"], student: Float[Tensor, "batch total"]
) -> Float[Tensor, ""]:
    """``Σ_n (v_n^t - v_n^d)²``: squared L2 distance of two paths, mean over the batch (Eq. 7)."""
    return (teacher - student).square().sum(1).mean()


def logits_distillation(
    teacher: Sequence[Float[Tensor, "batch classes"]],
    student: Sequence[Float[Tensor, "batch classes"]],
) -> Float[Tensor, ""]:
    """``Σ_k KL(softmax y_k^t ‖ softmax y_k^d)``: sum over exits, mean over the batch (Eq. 8)."""
    divergences = [
        F.kl_div(d.log_softmax(1), t.log_softmax(1), log_target=True, reduction="batchmean")
        for t, d in zip(teacher, student, strict=True)
    ]
    return torch.stack(divergences).sum()
