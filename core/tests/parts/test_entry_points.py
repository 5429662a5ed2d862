"""What installed packages register, and what is said when they clash or fail."""

import pytest

import dyncore
from dyncore.parts import RegistryError, look_up, registered

pytestmark = pytest.mark.usefixtures("absent")

ROUTER = """
from dataclasses import dataclass
from typing import ClassVar
from dyncore.gating import IdentityRouter, RouterConfig

@dataclass(frozen=True, kw_only=True)
class EchoConfig(RouterConfig):
    name: ClassVar[str] = "echo"
    loud: bool = False

    def build(self, in_channels, index):
        return IdentityRouter(in_channels)
"""


def test_a_package_adds_a_part(install):
    install("dyn-echo", {"routers": {"echo": "dyn_echo_parts:EchoConfig"}}, ROUTER)

    assert set(registered("routers")) >= {"context", "echo", "identity", "short-range"}
    model = dyncore.create_model("vanilla-resnet20-cifar", router={"name": "echo", "loud": True})
    assert model.config.router == registered("routers")["echo"](loud=True)


def test_one_name_of_two_packages_names_both(install):
    install("dyn-echo", {"routers": {"echo": "dyn_echo_parts:EchoConfig"}}, ROUTER)
    install("dyn-other", {"routers": {"echo": "dyn_other_parts:EchoConfig"}}, ROUTER)

    with pytest.raises(
        RegistryError, match=r"dyn-(echo|other) and dyn-(echo|other) both register router 'echo'"
    ) as error:
        registered("routers")
    assert "dyn-echo" in str(error.value)
    assert "dyn-other" in str(error.value)
    assert "uninstall one of them" in str(error.value)


def test_a_name_of_the_core_cannot_be_taken_over(install):
    install("dyn-echo", {"methods": {"static": "dyn_echo_parts:METHOD"}}, "METHOD = None")

    with pytest.raises(RegistryError, match="both register method 'static'") as error:
        dyncore.create_model("static-resnet20-cifar")
    assert "dyncore" in str(error.value)
    assert "dyn-echo" in str(error.value)


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_"),
        ("raise OSError('no such library')", "OSError: no such library"),
        ("", "AttributeError: module 'dyn_echo_parts' has no attribute 'EchoConfig'"),
    ],
)
def test_a_package_that_does_not_load_is_named(install, source, cause):
    install("dyn-echo", {"routers": {"echo": "dyn_echo_parts:EchoConfig"}}, source)

    with pytest.raises(RegistryError) as error:
        registered("routers")
    message = str(error.value)
    assert message.startswith("package dyn-echo registers router 'echo', but loading dyn_echo_part")
    assert cause in message
    assert message.endswith("reinstall or uninstall dyn-echo")


def test_other_groups_still_load(install):
    install("dyn-echo", {"routers": {"echo": "dyn_echo_parts:EchoConfig"}}, "1 / 0")

    assert "gumbel-softmax" in registered("gates")


@pytest.mark.parametrize(
    ("group", "name", "saved_with", "message"),
    [
        ("gates", "nope", "", "unknown gate 'nope'; installed gates: gumbel-softmax, relu1, str"),
        ("methods", "x", "", "unknown method 'x'; installed methods: "),
        ("methods", "absent", "", "'absent'; install it with: pip install dyn-absent; installed "),
        ("methods", "absent", "dyn-x", "install it with: pip install dyn-absent;"),
        (
            "routers",
            "absent",
            "",
            "unknown router 'absent'; installed routers: codebook, context, identity",
        ),
        ("routers", "echo", "dyn-echo", "'echo'; install it with: pip install dyn-echo; inst"),
    ],
)
def test_an_unknown_name_says_what_is_known_and_what_to_install(group, name, saved_with, message):
    with pytest.raises(ValueError, match="unknown ") as error:
        look_up(group, name, saved_with=saved_with)
    assert message in str(error.value)
