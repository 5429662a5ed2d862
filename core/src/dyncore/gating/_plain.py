"""Whether a module is what it seems, so that its weights tell all of what it computes."""

from typing import TypeGuard, TypeVar

from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
M = TypeVar("M", bound=nn.Module)


def does_more(module: nn.Module) -> bool:
    """Whether calling ``module`` is more than the forward of its class: hooks, or one of its own.

    Hooks on all modules at once, which torch offers for profiling, do not count: what is measured
    runs as it does otherwise.
    """
    own = vars(module)
    return "forward" in own or any(own[hooks] for hooks in HOOKS)


def is_plain(module: nn.Module | None, *types: type[M]) -> TypeGuard[M]:
    """Whether calling ``module`` is the forward of one of ``types``, and no more.

    It is not for a subclass, as a parametrised module is; for a module that ``does_more``; and for
    one whose weights are tensors of another kind (sharded, quantised), which compute in a way of
    their own. Only what is plain may be taken apart: computed from its parameters without being
    called.
    """
    return (
        module is not None
        and type(module) in types
        and not does_more(module)
        and not any(
            hasattr(weight, "__tensor_flatten__") for weight in vars(module)["_parameters"].values()
        )
    )


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
