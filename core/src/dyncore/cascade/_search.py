"""Which networks, in which order: every pair and every triple."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Int
from torch import Tensor

from dyncore.cascade._calibration import Aim, Calibration, Setting, Unit, calibration
from dyncore.cascade._confidence import Answer, Confidence
from dyncore.cascade._outcomes import Rule, outcomes
from dyncore.cascade._predictions import Predictions


@dataclass(frozen=True)
class Found:
    """Some of the candidates in a row, and what they promise."""

    members: tuple[int, ...]
    """Their numbers among the candidates."""
    calibration: Calibration


@dataclass(frozen=True)
class Step:
    """A point of the front: nothing cheaper is as accurate."""

    members: tuple[int, ...]
    """One: a network alone."""
    setting: Setting


def search(
    predictions: Sequence[Predictions],
    labels: Int[Tensor, "image"],
    costs: Sequence[Tensor],
    aim: Aim,
    unit: Unit,
    *,
    confidence: Confidence,
    answer: Answer,
    temperatures: Sequence[float],
) -> list[Found]:
    """Every pair and triple of candidates, in order of growing mean cost, that reaches the aim.

    A ``budget`` is a share of the dearest candidate's cost, whoever is last.
    """
    means = [float(cost.double().mean()) for cost in costs]
    order = sorted(range(len(means)), key=means.__getitem__)
    found = []
    for members in (*combinations(order, 2), *combinations(order, 3)):
        rule = Rule(
            confidence=confidence,
            answer=answer,
            temperatures=tuple(temperatures[m] for m in members),
        )
        chosen = [predictions[m] for m in members]
        results = outcomes(chosen, labels, [costs[m] for m in members], rule)
        own = aim
        if aim.name == "budget":
            own = Aim("budget", aim.value * max(means) / means[members[-1]])
        try:
            found.append(Found(members, calibration(results, unit, own)))
        except ValueError:  # out of these members' reach
            continue
    return found


def best_of(found: Sequence[Found], aim: Aim) -> Found:
    """The cheapest for an accuracy, else the most accurate. Raises ValueError where none is left.

    Accuracies are those of thresholds from the other half of the images, which do not flatter the
    searches of many thresholds.
    """
    if not found:
        raise ValueError(f"no cascade of these models reaches {aim.name} {aim.value:g}")
    if aim.name == "accuracy":
        return min(found, key=lambda each: each.calibration.chosen.cost)
    return max(found, key=lambda each: each.calibration.expected_accuracy)


def front_of(singles: Sequence[Setting], found: Sequence[Found]) -> list[Step]:
    """What is worth having of all networks and all cascades, from the cheapest on."""
    steps = [Step((index,), setting) for index, setting in enumerate(singles)]
    steps += [Step(each.members, s) for each in found for s in each.calibration.dial]
    steps.sort(key=lambda step: (step.setting.cost, -step.setting.accuracy, len(step.members)))
    return list(_rising(steps))


def _rising(steps: Sequence[Step]) -> Iterator[Step]:
    best = -1.0
    for step in steps:
        if step.setting.accuracy > best:
            best = step.setting.accuracy
            yield step
