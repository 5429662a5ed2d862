"""Whether an image's answer depends on its batch mates."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def check_independent(model: nn.Module) -> None:
    """Raise ValueError for a norm that uses its batch's statistics in evaluation.

    What runs only the images that chose a path shows it another batch than the masked form does.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
            raise ValueError(
                f"{name} normalises by the statistics of its batch in evaluation, too, so that "
                "what is skipped would change the answer: let it track running statistics, and "
                "call model.eval(), or run the masked form, model(images)"
            )
