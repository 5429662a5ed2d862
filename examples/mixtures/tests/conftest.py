"""A few steps of training on digits."""

import pytest

from dyncore.cli import main


@pytest.fixture(scope="session", params=["relational", "relational-slow-progress"])
def trained(request, tmp_path_factory):
    """Folder of a run of three steps with ``dyn train``; it has the name of its recipe."""
    name = f"dmnn-resnet20-n2-digits-b0.6-{request.param}"
    runs = tmp_path_factory.mktemp("runs")
    main(["train", name, "--epochs", "0.25", "--output", str(runs)])
    return runs / name
