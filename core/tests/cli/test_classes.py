"""``dyn eval`` compares classes by name, and says what it does about a difference."""

from dataclasses import replace

import pytest
import torch
from PIL import Image

import dyncore
from dyncore.data import Preprocessing
from dyncore.training import Evaluation


@pytest.fixture
def evaluate(dyn, tmp_path):
    """Evaluates a model of these classes, which answers number 1, on nine ants and a zebra."""
    for name, count in (("ant", 9), ("zebra", 1)):
        folder = tmp_path / "data" / "test" / name
        folder.mkdir(parents=True)
        for row in range(count):
            Image.new("RGB", (8, 8), (20 * row, 0, 0)).save(folder / f"{row}.png")

    def run(classes):
        model = dyncore.create_model("static-resnet20-cifar", num_classes=2)
        seen = Preprocessing(mean=(0.5,) * 3, std=(0.2,) * 3, size=8)
        model.info = replace(model.info, classes=classes, preprocessing=seen)
        with torch.no_grad():
            model.backbone.fc.weight.zero_()
            model.backbone.fc.bias.copy_(torch.tensor([0.0, 1.0]))
        model.save_pretrained(tmp_path / "model")
        file = tmp_path / "evaluation.parquet"
        given = (str(tmp_path / "model"), "--data", str(tmp_path / "data"), "--output", str(file))
        return dyn("eval", *given), file

    return run


@pytest.mark.situation(
    "a model whose classes are those of a data set in another order: compared by name, and said; "
    "of other names it is said that numbers are compared",
    under="Data sets of your own",
)
@pytest.mark.parametrize(
    ("classes", "accuracy", "said"),
    [
        (("zebra", "ant"), 0.9, "the classes of the model stand in another order"),
        (("ant", "zebra"), 0.1, ""),
        (None, 0.1, ""),
        (("ant", "horse"), 0.1, "1 of 2 classes have another name in the model than in 'data', "
         "e.g. 'horse' and 'zebra': they are compared by number"),
        (("n01", "n02"), 0.1, "2 of 2 classes have another name"),
    ],
)  # fmt: skip
def test_classes_are_compared_by_name(evaluate, caplog, classes, accuracy, said):
    ended, file = evaluate(classes)
    assert ended.status == 0, ended.err
    assert f"accuracy: {accuracy}\n" in ended.out
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)
    found = Evaluation.load(file)
    assert found.label.tolist() == [0] * 9 + [1]
    assert set(found.prediction) == {0 if classes == ("zebra", "ant") else 1}


@pytest.mark.situation(
    "a model of whose classes some have another name, and some another number",
    refused="class 'ant' is number 1 of the model and number 0 of data set 'data'",
    under="Data sets of your own",
)
def test_names_that_contradict_the_numbers_are_refused(evaluate):
    ended, file = evaluate(("horse", "ant"))
    assert ended.status == 2
    assert not file.exists()
    raise ValueError(ended.message)  # which the command printed
