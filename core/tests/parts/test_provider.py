from importlib.metadata import version

from dyncore.gating import ContextRouterConfig
from dyncore.parts import method_provider, provider


def test_a_part_of_the_core_comes_from_dyncore():
    assert provider(ContextRouterConfig) == ("dyncore", version("dyncore"))


def test_a_class_that_nobody_registers_has_no_provider():
    class Mine:
        pass

    assert provider(Mine) is None


def test_a_method_comes_from_the_package_that_registers_it():
    assert method_provider("vanilla") == ("dyncore", version("dyncore"))
    assert method_provider("none-such") is None
