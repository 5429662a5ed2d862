"""The same loop with accelerate: several processes, mixed precision.

``accelerate launch examples/loops/with_accelerate.py [--model dmnn-resnet20-cifar-n2]``. The
objective is made of the bare model, and then prepared with it: its heads are trained, too.
"""

import argparse
from dataclasses import replace

import torch
from accelerate import Accelerator
from plain_pytorch import SEEN, loaders

import dyncore


def main(name: str, epochs: int) -> dyncore.DynamicNetwork:
    """Train and evaluate."""
    torch.manual_seed(0)
    accelerator = Accelerator()
    model = dyncore.create_model(name, num_classes=10)
    model.info = replace(model.info, preprocessing=SEEN)
    objective = dyncore.objective(model.to(accelerator.device), budget=0.6)  # dyncore
    parameters = [*model.parameters(), *objective.parameters()]
    optimizer = torch.optim.SGD([p for p in parameters if p.requires_grad], lr=0.05, momentum=0.9)
    train_loader, _, test_loader = loaders()
    prepared = accelerator.prepare(model, objective, optimizer, train_loader, test_loader)
    wrapped, wrapped_objective, optimizer, train_loader, test_loader = prepared
    for epoch in range(epochs):
        wrapped.train()
        for images, labels in train_loader:
            out = wrapped(images)
            loss = wrapped_objective(images, labels, out)  # dyncore
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            objective.after_step()  # dyncore: of the bare one
        accelerator.print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    found = dyncore.evaluate(model, test_loader, accelerator=accelerator)  # dyncore
    accelerator.print(found.metrics())
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="rdinet-resnet20-cifar")
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    main(given.model, given.epochs)
