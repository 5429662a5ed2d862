"""A training loop of one's own, in plain PyTorch: handwritten digits, any method of dyncore.

``python examples/loops/plain_pytorch.py [--model rdinet-resnet20-cifar] [--epochs 30]``. Lines that
are dyncore's end in ``# dyncore``.
"""

import argparse
from dataclasses import replace

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import dyncore

SEEN = dyncore.data.Preprocessing(mean=(0.305,) * 3, std=(0.376,) * 3, size=8)


def loaders(batch_size: int = 64) -> tuple[DataLoader, DataLoader, DataLoader]:
    """To train on, to calibrate on, to test on; images are normalised, as usual."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16).float()[:, None].expand(-1, 3, -1, -1)
    data = TensorDataset(SEEN.normalize(images), torch.tensor(digits.target))
    parts = torch.utils.data.random_split(data, (997, 400, 400), torch.Generator().manual_seed(0))
    train, calibrate, test = parts
    return (
        DataLoader(train, batch_size, shuffle=True, drop_last=True),
        DataLoader(calibrate, 400),
        DataLoader(test, 400),
    )


def train(model: dyncore.DynamicNetwork, loader: DataLoader, epochs: int) -> None:
    """What a loop looks like; a method with a warm-up starts with it for the first epoch."""
    objective = dyncore.objective(model, budget=0.6)  # dyncore
    first, *more = [phase.name for phase in objective.phases]
    for epoch in range(epochs):
        if epoch == 0 or (epoch == 1 and more):
            objective.start(more[-1] if epoch else first)  # dyncore: a phase trains what it says
            parameters = [*model.parameters(), *objective.parameters()]
            optimizer = torch.optim.SGD(
                [p for p in parameters if p.requires_grad], lr=0.05, momentum=0.9
            )
        model.train()
        for images, labels in loader:
            out = model(images)
            loss = objective(images, labels, out)  # dyncore
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            objective.after_step()  # dyncore
        print(f"epoch {epoch + 1}, {objective.phase.name}: loss {loss.item():.3f}")


def main(name: str, epochs: int, folder: str | None = None) -> dyncore.DynamicNetwork:
    """Train, evaluate, calibrate, and turn the dial."""
    torch.manual_seed(0)
    train_loader, calibrate_loader, test_loader = loaders()
    model = dyncore.create_model(name, num_classes=10)
    model.info = replace(model.info, preprocessing=SEEN)
    train(model, train_loader, epochs)
    print(dyncore.evaluate(model, test_loader).metrics())  # dyncore
    print(dyncore.calibrate(model, calibrate_loader, normalised=True))
    model.set_budget(model.dial.settings[0].cost / model.dial.static_cost + 0.1)
    print(dyncore.evaluate(model, test_loader).metrics())
    if folder is not None:
        model.save_pretrained(folder)  # with its dial
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="rdinet-resnet20-cifar")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--output")
    given = parser.parse_args()
    main(given.model, given.epochs, given.output)
