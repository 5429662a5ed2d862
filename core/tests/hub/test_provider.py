from importlib.metadata import version

from dyncore.gating import ContextRouterConfig
from dyncore.hub import provider


def test_a_part_of_the_core_comes_from_dyncore():
    assert provider(ContextRouterConfig) == ("dyncore", version("dyncore"))


def test_a_class_that_nobody_registers_has_no_provider():
    class Mine:
        pass

    assert provider(Mine) is None
