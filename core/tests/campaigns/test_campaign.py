"""The file of a campaign: what it says, and what it may not say."""

import pytest

from dyncore.campaigns import Campaign

MANY = """
seeds = [0, 1]
options = "--epochs 4"

[models]
public = "public weights"

[runs.a]
recipe = "static-resnet20-digits"
options = "--batch-size '64'"
init = "public"

[runs.b]
recipe = "vanilla-resnet20-digits-b0.5"
seeds = [7]
init = "c"

[runs.c]
recipe = "static-resnet20-digits"
seeds = [3]
"""


def load(tmp_path, text: str) -> Campaign:
    file = tmp_path / "many.toml"
    file.write_text(text, encoding="utf-8")
    return Campaign.load(file)


def test_first_seeds_come_first(tmp_path):
    campaign = load(tmp_path, MANY)
    assert campaign.name == "many"
    assert [run.name for run in campaign.runs] == ["a-s0", "b-s7", "c-s3", "a-s1"]
    assert campaign.entries["a"].options == ("--epochs", "4", "--batch-size", "64")


def test_a_run_needs_the_run_of_its_seed_or_the_only_one(tmp_path):
    campaign = load(tmp_path, MANY)
    needs = {run.name: [donor.name for donor in campaign.needs(run)] for run in campaign.runs}
    assert needs == {"a-s0": [], "b-s7": ["c-s3"], "c-s3": [], "a-s1": []}
    seeded = load(tmp_path, MANY.replace("seeds = [7]", "").replace("seeds = [3]", ""))
    assert [run.name for run in seeded.needs(seeded.runs[1])] == ["c-s0"]
    assert [run.name for run in seeded.needs(seeded.runs[4])] == ["c-s1"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "seed = [0, 1]", "the file has no field 'seed'"),
        ('recipe = "vanilla-resnet20-digits-b0.5"', "", "runs.b: recipe must be text, not None"),
        ("seeds = [7]", "seeds = [7, 7]", "runs.b: seeds must be different whole numbers"),
        ("seeds = [7]", "seeds = [true]", "runs.b: seeds must be different whole numbers"),
        ("seeds = [7]", "seeds = []", "runs.b: seeds must be different whole numbers"),
        ("seeds = [7]", "epochs = 7", "runs.b: a run has no field 'epochs'"),
        ('init = "c"', 'init = "d"', "runs.b: there is no 'd' among public, a, b, c"),
        ('init = "c"', 'init = "b"', "runs.b waits for itself"),
        ('init = "c"', 'init = "a"', "runs.b: 'a' has no seed 7"),
        ("seeds = [3]", 'seeds = [3]\ninit = "b"', "runs.b waits for itself"),
        ("seeds = [3]", 'seeds = [3]\nteacher = "b"', "runs.b waits for itself"),
        ("seeds = [3]", 'seeds = [3]\nrates_of = "d"', "runs.c: there is no 'd' among"),
        (
            "seeds = [3]",
            'seeds = [3]\nsubnet_of = "public"',
            "runs.c: 'public' is a model, not a run",
        ),
        ("--epochs 4", "--seed 4", "runs.a: options: --seed is set by the command"),
        ("--epochs 4", "--init=x", "runs.a: options: --init is set by the field init"),
        ("--epochs 4", "--epochs '4", "runs.a: No closing quotation"),
        ("[runs.a]", "[runs.'../a']", "cannot name a folder"),
        ('public = "public weights"', 'c = "weights"', "no run may have its name"),
        ("[runs.a]", "[runs.a", "many.toml: "),
        (MANY, "", "it has no runs"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, message):
    assert old in MANY
    with pytest.raises(ValueError, match=r"many\.toml: ") as caught:
        load(tmp_path, MANY.replace(old, new))
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no campaign '.*none\.toml'"):
        Campaign.load(tmp_path / "none.toml")
