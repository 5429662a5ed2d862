"""torchvision, imported when an image is transformed or decoded, and not before.

It imports ``torch._dynamo``, too. Who runs a model on tensors needs neither.
"""

from typing import Any


def transforms_v2() -> Any:
    """The module ``torchvision.transforms.v2``.

    Raises ModuleNotFoundError that says what to install.
    """
    try:
        from torchvision.transforms import v2
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "preprocessing images needs torchvision; install it with: pip install torchvision",
            name="torchvision",
        ) from error
    return v2
