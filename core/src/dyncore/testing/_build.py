"""Networks, training steps and images of a case; the same in every process."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dyncore.cost import cost_table
from dyncore.data import Batch, Preprocessing
from dyncore.gating import Gate
from dyncore.network import DynamicNetwork, ModelInfo
from dyncore.objectives import Objective
from dyncore.recipes import Phase
from dyncore.testing._case import Case
from dyncore.training import StepResult, TrainingStep, draw_decisions

BATCH = 8
"""Images in a global batch."""


def preprocessing(case: Case) -> Preprocessing:
    return Preprocessing(mean=(0.45, 0.5, 0.55), std=(0.2, 0.25, 0.3), size=case.image_size)


def random_batch(case: Case, seed: int, dtype: torch.dtype = torch.float32) -> Batch:
    """Images that differ in colour, contrast and texture, with random labels."""
    generator = torch.Generator().manual_seed(seed)
    colour = torch.rand(BATCH, 3, 1, 1, generator=generator, dtype=dtype)
    contrast = torch.rand(BATCH, 1, 1, 1, generator=generator, dtype=dtype)
    size = case.image_size
    texture = torch.rand(BATCH, 3, size, size, generator=generator, dtype=dtype)
    labels = torch.randint(case.network.num_classes, (BATCH,), generator=generator)
    return Batch(torch.lerp(colour, texture, contrast), labels, torch.arange(BATCH))


def training_step(case: Case, dtype: torch.dtype = torch.float32) -> TrainingStep:
    """Model and objective as the trainer makes them, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DynamicNetwork(case.network)
        table = cost_table(model, (3, case.image_size, case.image_size))
        parts = {key: config.build(model, table) for key, config in case.objective.items()}
        step = TrainingStep(model, Objective(parts), table, preprocessing(case))
    return step.to(dtype).train()


def run_step(
    step: TrainingStep, case: Case, phase: Phase, seed: int, share: slice = slice(0, BATCH)
) -> StepResult:
    """The forward pass of a training step, as the trainer runs it, on a share of a random batch."""
    whole = random_batch(case, seed, next(step.parameters()).dtype)
    batch = Batch(whole.images[share], whole.labels[share], whole.index[share])
    noise, on = draw_decisions(step.model, phase, seed=0, step=seed, batch=BATCH, share=share)
    return step(batch, noise, on, None if phase.objective is None else frozenset(phase.objective))


def expect_finite_terms(result: StepResult, where: str) -> None:
    """Raise AssertionError for a term of the loss that is infinite or not a number."""
    for name, term in result.terms.items():
        if not term.isfinite().all():
            raise AssertionError(f"{where}: the term {name!r} is {float(term)}")


def eval_images(case: Case) -> Float[Tensor, "batch 3 height width"]:
    """Normalised images in float64."""
    return preprocessing(case).normalize(random_batch(case, 0, torch.float64).images)


def eval_network(case: Case) -> DynamicNetwork:
    """A float64 network in evaluation that takes different paths for :func:`eval_images`."""
    classes = tuple(f"class {label}" for label in range(case.network.num_classes))
    info = ModelInfo(classes=classes, preprocessing=preprocessing(case))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DynamicNetwork(case.network, info).double().eval()
    vary(model, case)
    return model


@torch.no_grad()
def vary(model: DynamicNetwork, case: Case) -> None:
    """Make a fresh model like one that has learned: different images take different paths.

    Its norms get random statistics, and its gates' scores median 0 and deviation 1 over
    :func:`eval_images`, in the mode that the model is in. A check in which all images take one
    path would not see much.
    """
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            state = module.state_dict()
            for scale in ("weight", "running_var"):
                state[scale].uniform_(0.5, 1.5, generator=generator)
            for shift in ("bias", "running_mean"):
                state[shift].normal_(std=0.3, generator=generator)
    hooks = [gate.register_forward_pre_hook(_spread) for gate in model.gates.values()]
    model(eval_images(case).to(next(model.parameters()).dtype))
    for hook in hooks:
        hook.remove()


def _spread(gate: Gate, arguments: tuple[Tensor, Tensor | None]) -> None:
    """Standardise the scores that the gate's head gives for a batch of features.

    A score that is the same for all images stays: moved to 0 it would be decided by rounding.
    """
    scores = F.linear(arguments[0], gate.head.weight)
    deviation = scores.std(0)
    varies = deviation > 1e-6
    scale = torch.where(varies, deviation, 1)
    gate.head.weight /= scale[:, None]
    median = scores.quantile(0.5, 0) / scale
    gate.head.bias.copy_(torch.where(varies, -median, gate.head.bias))
