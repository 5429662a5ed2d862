"""Modules that do what their class does, and nothing else."""

from typing import TypeGuard, TypeVar

from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
M = TypeVar("M", bound=nn.Module)


def is_plain(module: nn.Module | None, *types: type[M]) -> TypeGuard[M]:
    """Whether calling ``module`` is the forward of one of ``types``, and no more.

    It is not for a subclass, as a parametrised module is; for a module with hooks; and for one
    with a forward of its own. Only what is plain may be taken apart: computed from its parameters
    without being called. Hooks on all modules at once, which torch offers for profiling, do not
    count: what is measured runs as it does otherwise.
    """
    if module is None or type(module) not in types:
        return False
    own = vars(module)
    return "forward" not in own and not any(own[hooks] for hooks in HOOKS)
