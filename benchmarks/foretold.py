"""Whether it can be foretold which images a small network will be unsure about.

``python benchmarks/foretold.py --model FOLDER --data cifar10`` takes a nested network
(``nested-resnet32-cifar10-finetuned``): its small path answers, and some of the images go on to
the whole. Which ones is chosen by the small path's own probabilities, when it has ended; or before,
by a head behind each of its blocks, which is more than a router sees there:

- ``head``: it learns the classes; its least sure images go on.
- ``taught``: it learns the probability that the small path withholds from the label.

Heads are two convolutions with strides and norms and a linear layer, trained on the training images
with crops and flips, all at once, while the network stands still. *Caught* is what their choice
gains over a random one, as a share of what the own probabilities gain. 1 MAC = 2 FLOPs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
import tyro
from cascade import shown
from record import record
from torch import Tensor, nn

import dyncore
from dyncore.cost import count_macs
from dyncore.data import CropFlip, Loader, load_dataset
from dyncore.gating import Decision
from dyncore.network import DynamicNetwork, Site

Row = dict[str, object]
Heads = dict[tuple[int, str], nn.Module]
"""By the number of the block before, and the kind."""
WIDTH = 32
KINDS = ("head", "taught")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Ask what a router could know."""

    model: str
    """Folder of a nested network."""
    data: str
    """Data set of small images: a Hub id or a folder."""
    epochs: int = 2
    """Epochs of the heads."""
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    """Of images that go on."""
    seed: int = 0


def new_head(channels: int, outputs: int) -> nn.Sequential:
    """Maps of a block to logits."""

    def half(inputs: int, outputs: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]

    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    last = nn.Linear(2 * WIDTH, outputs)
    return nn.Sequential(*half(channels, WIDTH), *half(WIDTH, 2 * WIDTH), *pool, last)


def asked(network: DynamicNetwork, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits for images in [0, 1], and what each block gave."""
    assert network.info.preprocessing is not None
    maps: list[Tensor] = []

    def run(site: Site, x: Tensor, decision: Decision | None) -> Tensor:
        maps.append(site.block(x, decision))
        return maps[-1]

    return network.walk(network.info.preprocessing.normalize(images), run).logits, maps


def error(kind: str, said: Tensor, small: Tensor, labels: Tensor) -> Tensor:
    """A head's loss; ``small``: the small path's logits."""
    if kind == "head":
        return F.cross_entropy(said, labels)
    withheld = 1 - small.softmax(1).gather(1, labels[:, None])
    return F.binary_cross_entropy_with_logits(said, withheld)


def doubt(kind: str, said: Tensor) -> Tensor:
    """Higher for images that should go on."""
    return -said.softmax(1).amax(1) if kind == "head" else said[:, 0]


def train_heads(small: DynamicNetwork, loader: Loader, epochs: int) -> tuple[Heads, dict[int, int]]:
    """A head of each kind behind each block but the last, and the MACs of one behind each."""
    classes = small.config.num_classes
    with torch.no_grad():
        _, maps = asked(small, next(iter(loader)).images)
    places = range(len(maps) - 1)
    heads: Heads = {
        (index, kind): new_head(maps[index].shape[1], classes if kind == "head" else 1)
        for index in places
        for kind in KINDS
    }
    macs = {i: count_macs(partial(heads[i, "head"].eval(), maps[i][:1])) for i in places}
    for head in heads.values():
        head.train()
    parameters = [p for head in heads.values() for p in head.parameters()]
    optimizer = torch.optim.Adam(parameters)
    steps = epochs * loader.steps_per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for epoch in range(epochs):
        for batch in loader.epoch(epoch):
            with torch.no_grad():
                logits, maps = asked(small, batch.images)
            losses = [
                error(kind, head(maps[index]), logits, batch.labels)
                for (index, kind), head in heads.items()
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            schedule.step()
        print(
            f"heads {epoch + 1}/{epochs}: {float(torch.stack(losses).detach().mean()):.3f}",
            flush=True,
        )
    return heads, macs


@torch.no_grad()
def ask(
    model: DynamicNetwork, heads: Heads, loader: Loader
) -> tuple[Tensor, Tensor, dict[str, Tensor], dict[int, float]]:
    """Per test image: whether the small path and the whole are right, and everybody's doubt.

    And the accuracy of each block's head.
    """
    small, whole = model.at(0), model.at(1)
    right_small, right_whole, doubts, right_heads = [], [], [], []
    for head in heads.values():
        head.eval()
    for batch in loader:
        own, maps = asked(small, batch.images)
        said = {place: head(maps[place[0]]) for place, head in heads.items()}
        right_small.append(own.argmax(1) == batch.labels)
        right_whole.append(asked(whole, batch.images)[0].argmax(1) == batch.labels)
        named = {f"{index}/{kind}": doubt(kind, logits) for (index, kind), logits in said.items()}
        doubts.append({"own": doubt("head", own), **named})
        right_heads.append(
            {i: s.argmax(1) == batch.labels for (i, kind), s in said.items() if kind == "head"}
        )
    joined = {name: torch.cat([d[name] for d in doubts]) for name in doubts[0]}
    accuracies = {
        i: float(torch.cat([r[i] for r in right_heads]).double().mean()) for i in right_heads[0]
    }
    return torch.cat(right_small), torch.cat(right_whole), joined, accuracies


def going_on(doubts: Tensor, share: float, small: Tensor, whole: Tensor) -> float:
    """Accuracy where the share of images with most doubt gets the whole network's answer."""
    on = doubts.argsort(descending=True, stable=True)[: round(share * len(doubts))]
    right = small.clone()
    right[on] = whole[on]
    return float(right.double().mean())


def rows(
    small: Tensor, whole: Tensor, doubts: Mapping[str, Tensor], shares: Sequence[float]
) -> Iterator[Row]:
    """Accuracy at each share, by who chooses."""
    least, most = float(small.double().mean()), float(whole.double().mean())
    chance = [least + share * (most - least) for share in shares]
    own = [going_on(doubts["own"], share, small, whole) for share in shares]
    for name, values in doubts.items():
        found = [going_on(values, share, small, whole) for share in shares]
        gained = [f - c for f, c in zip(found, chance, strict=True)]
        could = [o - c for o, c in zip(own, chance, strict=True)]
        place, _, kind = name.partition("/")
        yield {
            "kind": kind or "own",
            "block": int(place) if kind else None,
            "accuracies": found,
            "caught": sum(gained) / sum(could),
        }
    yield {"kind": "random", "block": None, "accuracies": chance, "caught": 0.0}


def main(options: Options) -> None:
    """Train heads, ask everyone, print, and write the JSON."""
    torch.manual_seed(options.seed)
    model = dyncore.from_pretrained(options.model)
    if not isinstance(model, DynamicNetwork) or not model.config.nested:
        raise ValueError(f"{options.model} holds no nested network: give one")
    model.eval()
    small = model.at(0)
    data = load_dataset(options.data)
    preprocessing = small.info.preprocessing
    assert data.train is not None
    assert data.test is not None
    assert preprocessing is not None
    learn = Loader(
        data.train,
        batch_size=128,
        preprocessing=preprocessing,
        device="cpu",
        augmentation=CropFlip(),
        seed=options.seed,
        shuffle=True,
        drop_last=True,
    )
    test = Loader(data.test, batch_size=500, preprocessing=preprocessing, device="cpu")
    heads, macs = train_heads(small, learn, options.epochs)
    right_small, right_whole, doubts, accuracies = ask(model, heads, test)
    table = list(rows(right_small, right_whole, doubts, options.shares))
    for row in table:
        if isinstance(row["block"], int):
            row["head_macs"] = macs[row["block"]]
            row["head_accuracy"] = accuracies[row["block"]]
        row["shares"] = list(options.shares)
        row["blocks"] = len(small.backbone.blocks)
    shown(table, ("own", *KINDS, "random"))
    record("foretold", table)


if __name__ == "__main__":
    main(tyro.cli(Options))
