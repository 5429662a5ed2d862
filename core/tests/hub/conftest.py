import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from dyncore.network import DynamicNetwork

# These tests share a server and a model, which stand in files of their own.
sys.path.append(str(Path(__file__).parent))
from loopback_hub import Fault, Hub, serve
from pushed_model import NAME, make_model


@pytest.fixture
def serving() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture
def hub(serving, monkeypatch, tmp_path) -> Hub:
    """The same, with this process's client turned to it, an empty cache, no token, no waiting."""
    template = serving.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", serving.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", serving.endpoint)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    without_waiting = SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})
    for module in ("file_download", "utils._http"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", without_waiting)
    return serving


@pytest.fixture
def fault(hub) -> Callable[..., None]:
    """Adds what goes wrong: ``fault(pattern, status=503)``."""

    def add(pattern: str, **options: object) -> None:
        hub.faults.append(Fault(pattern, **options))

    return add


@pytest.fixture(scope="module")
def model(networks) -> DynamicNetwork:
    """A small network that knows everything of itself."""
    return make_model(networks["blend"])


@pytest.fixture
def pushed(hub, model) -> Hub:
    """The Hub, with the model; nothing is in the cache, and no request is remembered."""
    model.push_to_hub(NAME)
    hub.requests.clear()
    return hub
