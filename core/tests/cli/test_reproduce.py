"""``dyn reproduce``: what it shows and refuses; core/tests/campaigns has it run."""

import pytest

CAMPAIGN = """
options = "--epochs 3"

[models]
public = "public weights"

[runs.static]
recipe = "static-resnet20-digits"
seeds = [0, 1]

[runs.vanilla]
recipe = "vanilla-resnet20-digits-b0.5"
init = "static"

[runs.started]
recipe = "static-resnet20-digits"
init = "public"
"""


@pytest.fixture
def campaign(tmp_path) -> str:
    file = tmp_path / "small.toml"
    file.write_text(CAMPAIGN, encoding="utf-8")
    return str(file)


def test_list_shows_what_is_open_and_writes_nothing(dyn, campaign, tmp_path):
    ended = dyn("reproduce", campaign, "--list", "--output", str(tmp_path / "runs"))
    assert ended.status == 0
    rows = [" ".join(line.split()) for line in ended.out.splitlines()[1:]]
    assert rows == [
        "static-s0 open 3 epochs",
        "vanilla-s0 waiting for static-s0",
        "started-s0 not here give --models public=FOLDER",
        "static-s1 open 3 epochs",
        "0 of 4 done",
    ]
    assert [file.name for file in tmp_path.iterdir()] == ["small.toml"]


def test_only_what_fits_the_pattern(dyn, campaign):
    ended = dyn("reproduce", campaign, "--list", "--only", "static-*")
    assert [line.split()[0] for line in ended.out.splitlines()[1:-1]] == ["static-s0", "static-s1"]
    ended = dyn("reproduce", campaign, "--only", "dynamic")
    assert ended.status == 2
    assert ended.message == (
        "dyn: --only 'dynamic' fits no run; they are NAME-sSEED of static, vanilla, started"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "jobs must be at least 1, not 0"),
        (["--models", "public"], "models are given as NAME=FOLDER, not 'public'"),
        (["--models", "other=x"], "has no model 'other'; its [models] are: public"),
    ],
)
def test_wrong_options_are_named(dyn, campaign, arguments, message):
    ended = dyn("reproduce", campaign, *arguments)
    assert ended.status == 2
    assert message in " ".join(ended.err.replace("│", " ").split())


def test_a_wrong_recipe_or_option_is_named_with_its_run(dyn, campaign, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(CAMPAIGN.replace("--epochs 3", "--epoch 3"), encoding="utf-8")
    ended = dyn("reproduce", str(wrong), "--list")
    assert ended.status == 2
    assert "runs.static" in ended.err
    wrong.write_text(CAMPAIGN.replace("static-resnet20-digits", "static-resnet21"), "utf-8")
    ended = dyn("reproduce", str(wrong), "--list")
    assert ended.message.startswith("dyn: unknown recipe 'static-resnet21'; did you mean ")
