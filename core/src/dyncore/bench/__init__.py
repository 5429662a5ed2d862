"""What a model takes on somebody's images and machine, beside static engines."""

from dyncore.bench._bench import BATCHES, Bench, Measured, bench
from dyncore.bench._figure import figure
from dyncore.bench._static import STATIC, NotHereError, static_network

__all__ = [
    "BATCHES",
    "STATIC",
    "Bench",
    "Measured",
    "NotHereError",
    "bench",
    "figure",
    "static_network",
]
