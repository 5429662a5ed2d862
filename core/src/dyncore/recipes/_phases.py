"""The main phases of the papers that share a set-up, by benchmark."""

from dyncore.recipes._recipe import Phase
from dyncore.recipes._schedule import Cosine, Steps


def _steps(epochs: float, *milestones: float) -> Phase:
    return Phase(name="train", epochs=epochs, schedule=Steps(milestones=milestones))


_DIGITS = Phase(name="train", epochs=30.0, schedule=Cosine())
"""No paper trains on digits: ours."""

STEP_PHASES = {
    "cifar10": _steps(320.0, 250.0, 300.0),
    "cifar100": _steps(320.0, 250.0, 300.0),
    "imagenet": _steps(90.0, 30.0, 60.0),
    "digits": _DIGITS,
}
"""RDI-Net's main phase (epochs: section 4.1; milestones, which it does not print: its public
code)."""

CONTEXT_PHASES = {
    "cifar10": _steps(200.0, 100.0, 150.0),
    "cifar100": _steps(200.0, 100.0, 150.0),
    "imagenet": Phase(name="train", epochs=120.0, schedule=Cosine()),
    "digits": _DIGITS,
}
"""CDB's and DMNN's one phase (section 4.1 of both; CIFAR-10, which they do not use: as
CIFAR-100)."""
