"""Networks asked in order: an image whose answer is unsure goes on to the next."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dyncore.calibration import Batches, Seen
from dyncore.cascade._asked import Asked, Said, in_turn
from dyncore.cascade._calibration import Aim, Calibration, Setting, Unit, calibration
from dyncore.cascade._checks import check_images, check_logits
from dyncore.cascade._classes import columns_of, common_size
from dyncore.cascade._clock import milliseconds
from dyncore.cascade._confidence import Answer, Confidence, join, log_probabilities
from dyncore.cascade._front import ALL_GO_ON
from dyncore.cascade._member import Member, linked, widest_preprocessing
from dyncore.cascade._monitor import Monitor
from dyncore.cascade._nested import nested_members
from dyncore.cascade._outcomes import Rule, outcomes
from dyncore.cascade._output import output_of
from dyncore.cascade._policy import Policy
from dyncore.cascade._predictions import Answers, known_macs, predict
from dyncore.cascade._quiet import take
from dyncore.cascade._saving import save_cascade
from dyncore.cascade._temperature import fit_temperature
from dyncore.cascade._unsure import unsure
from dyncore.hub import Pushed
from dyncore.network import DynamicNetwork, ModelInfo, Output


@final
class Cascade(Pushed, nn.Module):
    """Members of growing cost; each is asked about the images that those before it are unsure of.

    ``cascade(images)`` takes images in [0, 1] and gives an :class:`dyncore.Output`. Its ``logits``
    are the answer's log-probabilities, ``member`` says who gave it and ``macs`` what the image cost
    (1 MAC = 2 FLOPs). In its ``path`` each member is a block, which is on for the images it saw.
    An image goes on where the confidence in the answer so far is below the member's threshold.
    Before :meth:`calibrate` all images go on. ("Wisdom of Committees", Wang et al., ICLR 2022,
    section 4.)
    """

    def __init__(
        self,
        members: Sequence[nn.Module | Member],
        *,
        classes: Sequence[str] | None = None,
        confidence: Confidence = "max-probability",
        answer: Answer = "mean",
        cap: float = 1.0,
    ) -> None:
        """Put ``members`` in a row, the cheapest first; modules are put into evaluation mode.

        ``classes`` is the order of the answer, by default the first member's; members whose classes
        stand in another order are permuted to it, which a warning says. ``answer`` is the mean of
        the probabilities of all members asked, or the last one's answer. At most a share ``cap`` of
        the images that a member sees in one batch (rounded up) go on, the least sure ones.

        Raises ValueError for fewer than two members, for members whose classes differ, and for a
        module that does not bring its preprocessing (see :meth:`Member.of`).
        """
        super().__init__()
        if len(members) < 2:
            raise ValueError(f"a cascade has at least two members, not {len(members)}")
        if not 0 < cap <= 1:
            raise ValueError(f"cap must be in (0, 1], not {cap}")
        self.members = linked([m if isinstance(m, Member) else Member.of(m) for m in members])
        self.networks = nn.ModuleDict(
            {str(i): m.run for i, m in enumerate(self.members) if isinstance(m.run, nn.Module)}
        )
        """Members that are modules, so that ``to`` and ``eval`` reach them."""
        self.confidence: Confidence = confidence
        self.answer: Answer = answer
        self.cap = cap
        self._thresholds = (ALL_GO_ON,) * (len(members) - 1)
        self._setting: Setting | None = None
        self.temperatures = (1.0,) * len(members)
        """By which each member's logits are divided."""
        self.calibration: Calibration | None = None
        """What the thresholds rest on; None: they were not calibrated."""
        named = (member.classes for member in self.members)
        order = next(named, None) if classes is None else tuple(classes)
        self.num_classes = common_size(self.members, order)
        for index, member in enumerate(self.members):
            columns = columns_of(member, order)
            self.register_buffer(f"_columns{index}", columns, persistent=False)
        self.info = ModelInfo(
            model="cascade of " + ", ".join(member.name for member in self.members),
            classes=order,
            preprocessing=widest_preprocessing(self.members),
        )
        self.eval()

    @classmethod
    def nested(
        cls,
        model: DynamicNetwork,
        budgets: Sequence[float] | None = None,
        *,
        confidence: Confidence = "max-probability",
        answer: Answer = "mean",
        cap: float = 1.0,
    ) -> "Cascade":
        """A cascade of the networks inside of one (``DynamicConfig.nested``), the whole one last.

        ``budgets`` are shares of its cost, ascending, e.g. ``(0.4, 1.0)``: each takes the network
        nearest to it; None takes all. Of a network with routers, which must be calibrated, each is
        the network itself with its dial turned to that share of its static form's cost. They share
        their weights in memory and when they are saved. The other arguments are those of
        ``Cascade(...)``. Raises ValueError for a model without networks inside, and for budgets
        that do not choose networks of growing cost.
        """
        members = nested_members(model, budgets)
        return cls(members, confidence=confidence, answer=answer, cap=cap)

    @torch.no_grad()
    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        *,
        members: Sequence[Asked] | None = None,
    ) -> Output:
        """Ask the members; ``images`` are in [0, 1], square, and of any size.

        ``members`` are asked in place of the cascade's own: the same ones in a form that is faster,
        which take images in [0, 1], too. Which images go on is asked of the device once per member.
        A member whose network the one before begins, as an early exit does, goes on from there.
        Raises ValueError for images that are not in [0, 1], for an answer that is NaN (with the
        image's number), and in training mode.
        """
        self._check(images)
        asked = self.members if members is None else members
        count = len(images)
        if not count and self.num_classes is not None:  # some runtimes take no empty batch
            member = torch.zeros(0, dtype=torch.int64, device=images.device)
            nothing = images.new_zeros(0, self.num_classes)
            return output_of(images, nothing, member, member, len(asked))
        said = asked[0].ask(images)
        logits, macs = self._checked(0, said, count, None)
        answer = log_probabilities(logits, self.temperatures[0])
        member = torch.zeros(count, dtype=torch.int64, device=images.device)
        rows = None  # numbers of the images that are still asked about; None: all
        for index in range(1, len(asked)):
            current = answer if rows is None else answer[rows]
            goes_on = unsure(current, self.confidence, self._thresholds[index - 1], self.cap)
            if goes_on is False:
                break
            if goes_on is not True:
                rows = goes_on if rows is None else rows[goes_on]
            if asked[index].rest is not None and said.features is not None:
                features = said.features if goes_on is True else take(said.features, goes_on)
                said = asked[index].resume(features)
            else:
                said = asked[index].ask(images if rows is None else take(images, rows))
            logits, cost = self._checked(index, said, count if rows is None else len(rows), rows)
            new = log_probabilities(logits, self.temperatures[index])
            if rows is None:
                answer = join(answer, new, index, self.answer)
                macs = None if macs is None or cost is None else macs + cost
                member.fill_(index)
            else:
                answer[rows] = join(answer[rows], new, index, self.answer)
                macs = None if macs is None or cost is None else macs.index_add(0, rows, cost)
                member[rows] = index
        return output_of(images, answer, member, macs, len(asked))

    @torch.no_grad()
    def logits(
        self,
        index: int,
        images: Float[Tensor, "batch 3 height width"],
        rows: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Float[Tensor, "batch classes"], Int[Tensor, "batch"] | None]:
        """One member's logits, in the cascade's class order, and MACs, if they are known.

        ``rows`` are the images' numbers, for messages. Raises ValueError for logits of another
        shape, and for NaN and infinity, which no confidence could judge.
        """
        return self._checked(index, self.members[index].ask(images), len(images), rows)

    def _checked(
        self, index: int, said: Said, images: int, rows: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """A member's answer about so many images, in the cascade's class order; see `logits`."""
        logits, macs, _ = said
        if self.num_classes is None:
            self.num_classes = logits.shape[1]
        check_logits(
            f"{self.members[index].name} (member {index})", logits, (images, self.num_classes), rows
        )
        columns = self._buffers[f"_columns{index}"]
        return (logits if columns is None else logits[:, columns]), macs

    def calibrate(
        self,
        batches: Batches,
        *,
        budget: float | None = None,
        accuracy: float | None = None,
        ms: float | None = None,
        fit_temperatures: bool = False,
    ) -> Calibration:
        """Set the thresholds of two or three members on images that none was trained on.

        ``batches`` yields (images, labels) or :class:`dyncore.data.Batch`: images in [0, 1], labels
        in the cascade's class order; each member runs once over them. Give one aim: ``budget``, the
        mean cost as a share of the last member's MACs; ``accuracy``, the least share of right
        answers; ``ms``, the mean milliseconds per image at batch 1, for which the members are
        timed here. The thresholds are the best for the aim on these images (see ``front``).
        ``fit_temperatures`` first fits each member's temperature.

        Raises ValueError for more or less than one aim, for one that cannot be reached, for a
        budget where a member's MACs are not known, and for images that a member was trained on,
        where confidence is inflated; a few of them cause a warning.
        """
        aim = Aim.of(budget=budget, accuracy=accuracy, ms=ms)
        seen = Seen(self.members)
        asks = [partial(self.logits, index) for index in range(len(self.members))]
        answers = predict(asks, batches, seen.look)
        seen.refuse()
        temperatures = self.temperatures
        if fit_temperatures:
            temperatures = tuple(fit_temperature(m.logits, answers.labels) for m in answers.members)
        rule = Rule(confidence=self.confidence, answer=self.answer, temperatures=temperatures)
        costs, alone = self._macs(answers) if ms is None else self._times(answers.example)
        found = outcomes(answers.members, answers.labels, costs, rule)
        unit: Unit = "MACs" if ms is None else "ms"
        self.calibration = calibration(found, unit, aim, float(alone.double().mean()))
        self.temperatures = temperatures
        self._set(self.calibration.chosen)
        return self.calibration

    def _macs(self, answers: Answers) -> tuple[list[Tensor], Tensor]:
        """What each member adds, and what the last one costs alone."""
        whole = known_macs([member.name for member in self.members], answers.members)
        rests = [member.rest for member in self.members]
        pairs = zip(whole, rests, strict=True)
        return [own if r is None else torch.tensor(r.macs) for own, r in pairs], whole[-1]

    def _times(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """The same in milliseconds."""
        asks = enumerate(in_turn(self.members, image))
        subjects = {str(number): _ignoring_images(ask) for number, ask in asks}
        *costs, alone = map(torch.tensor, milliseconds(subjects, [image]).values())
        return costs, alone

    def set_budget(self, budget: float) -> None:
        """Turn the dial: the most accurate thresholds whose mean cost is at most ``budget``.

        ``budget`` is a share of the last member's cost, as in :meth:`calibrate`, whose images it
        goes by. Raises ValueError before :meth:`calibrate`, and for less than the first member
        costs.
        """
        if self.calibration is None:
            raise ValueError("set_budget needs calibrated thresholds: call calibrate() first")
        self._set(self.calibration.within(budget))

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Below which confidence an image goes on from each member but the last.

        They can be set by hand; ValueError for another number of them.
        """
        return self._thresholds

    @thresholds.setter
    def thresholds(self, thresholds: Sequence[float]) -> None:
        if len(thresholds) != len(self.members) - 1:
            raise ValueError(
                f"{len(self.members)} members need {len(self.members) - 1} thresholds, not "
                f"{len(thresholds)}"
            )
        self._thresholds, self._setting = tuple(map(float, thresholds)), None

    @property
    def setting(self) -> Setting | None:
        """What the thresholds gave in calibration; None: they were set by hand, or not yet."""
        return self._setting

    @property
    def policy(self) -> Policy:
        """All that the cascade knows beside its members."""
        return Policy(
            confidence=self.confidence,
            answer=self.answer,
            cap=self.cap,
            temperatures=self.temperatures,
            thresholds=self.thresholds,
            setting=self._setting,
            calibration=self.calibration,
        )

    def restore(self, policy: Policy) -> None:
        """Take over what another cascade of the same members knew, e.g. a saved one.

        Raises ValueError for numbers that do not fit the members.
        """
        policy.check(len(self.members))
        self.confidence, self.answer, self.cap = policy.confidence, policy.answer, policy.cap
        self.temperatures, self._thresholds = policy.temperatures, policy.thresholds
        self._setting, self.calibration = policy.setting, policy.calibration

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the members' folders and ``cascade.json``, for ``dyncore.from_pretrained``.

        Raises ValueError for a member that is neither a network of ours nor one that timm or
        torchvision builds by name.
        """
        save_cascade(folder, self.members, self.policy, self.info)

    def _set(self, setting: Setting) -> None:
        self._thresholds, self._setting = setting.thresholds, setting

    def monitor(self, window: int = 1000) -> Monitor:
        """Watch the share of images that go on: the monitor sees every batch from now on.

        It compares with the thresholds' shares on the calibration images: after ``set_budget`` ask
        for another one. Raises ValueError for thresholds that were not calibrated.
        """
        if self.calibration is None or self._setting is None:
            raise ValueError("a monitor compares with the calibration: call calibrate() first")
        monitor = Monitor(self._setting.asked, self.calibration.images, window)
        self.register_forward_hook(lambda module, images, output: monitor.record(output))
        return monitor

    def _check(self, images: Tensor) -> None:
        if self.training:
            raise ValueError("a cascade answers in evaluation: call cascade.eval() first")
        check_images(images)

    def extra_repr(self) -> str:
        """Names, thresholds and rule, for ``print``."""
        names = " → ".join(member.name for member in self.members)
        return f"{names}, confidence={self.confidence}, thresholds={self.thresholds}"


def _ignoring_images(ask: Callable[[], Said]) -> Callable[[Tensor], Said]:
    return lambda images: ask()
