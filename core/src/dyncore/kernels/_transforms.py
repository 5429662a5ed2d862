"""Whether torch looks at operations one by one, and would not find them in a fused form."""

import torch


def transforms() -> bool:
    """Whether a graph is being compiled, or one of ``torch.func``'s transforms is under way."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
