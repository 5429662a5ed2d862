"""A temperature that makes probabilities mean what they say."""

from jaxtyping import Float, Int
from torch import Tensor

LEAST, GREATEST = 0.05, 20.0


def fit_temperature(logits: Float[Tensor, "image classes"], labels: Int[Tensor, "image"]) -> float:
    """The T that minimises the cross-entropy of ``softmax(logits / T)``, in 0.05 … 20.

    Guo et al., "On Calibration of Modern Neural Networks" (2017), section 4.2. The cross-entropy
    is convex in β = 1 / T; its derivative, the mean of ``E[z] - z_label``, is brought to 0 by
    bisection. The images must be ones that the network was not trained on.
    """
    exact = logits.double()
    right = exact.gather(1, labels[:, None])[:, 0]

    def slope(beta: float) -> float:
        expected = ((exact * beta).softmax(1) * exact).sum(1)
        return float((expected - right).mean())

    low, high = 1 / GREATEST, 1 / LEAST
    for _ in range(50):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return (low * high) ** -0.5
