"""Whether a module is what it seems, so that its weights tell all of what it computes."""

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


def describes(owner: object, description: str, method: str) -> bool:
    """Whether the attribute ``description`` of ``owner`` was written for the ``method`` it runs.

    It was not where a subclass, or the instance, replaces the method and inherits the description.
    """
    if method in vars(owner):
        return False
    classes = type(owner).__mro__
    depth = {
        name: next(n for n, each in enumerate(classes) if name in vars(each))
        for name in (description, method)
    }
    return depth[description] <= depth[method]
