"""Networks asked in order: an image whose answer is unsure goes on to the next."""

import os
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dyncore.cascade._calibration import Aim, Calibration, Setting, calibration
from dyncore.cascade._checks import check_images, check_logits
from dyncore.cascade._classes import columns_of, common_size
from dyncore.cascade._clock import milliseconds
from dyncore.cascade._confidence import Answer, Confidence, join, log_probabilities
from dyncore.cascade._front import ALL_GO_ON
from dyncore.cascade._member import Member, widest_preprocessing
from dyncore.cascade._monitor import Monitor
from dyncore.cascade._outcomes import Rule, outcomes
from dyncore.cascade._output import output_of
from dyncore.cascade._policy import Policy
from dyncore.cascade._predictions import Ask, Batches, known_macs, predict
from dyncore.cascade._quiet import take
from dyncore.cascade._saving import save_cascade
from dyncore.cascade._seen import Seen
from dyncore.cascade._temperature import fit_temperature
from dyncore.cascade._unsure import unsure
from dyncore.hub import push_folder
from dyncore.network import ModelInfo, Output


@final
class Cascade(nn.Module):
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
        self.members = tuple(m if isinstance(m, Member) else Member.of(m) for m in members)
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

    @torch.no_grad()
    def forward(
        self, images: Float[Tensor, "batch 3 height width"], *, members: Sequence[Ask] | None = None
    ) -> Output:
        """Ask the members; ``images`` are in [0, 1], square, and of any size.

        ``members`` are asked in place of the cascade's own: the same ones in a form that is faster,
        which take images in [0, 1], too. Which images go on is asked of the device once per member.
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
        logits, macs = self._checked(0, asked[0](images), count, None)
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
            some = images if rows is None else take(images, rows)
            logits, cost = self._checked(index, asked[index](some), len(some), rows)
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
        return self._checked(index, self.members[index](images), len(images), rows)

    def _checked(
        self, index: int, answer: tuple[Tensor, Tensor | None], images: int, rows: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """A member's answer about so many images, in the cascade's class order; see `logits`."""
        logits, macs = answer
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
        if ms is None:
            names = [member.name for member in self.members]
            costs = known_macs(names, answers.members)
        else:
            numbered = {str(index): ask for index, ask in enumerate(asks)}
            costs = [torch.tensor(t) for t in milliseconds(numbered, [answers.example]).values()]
        found = outcomes(answers.members, answers.labels, costs, rule)
        self.calibration = calibration(found, "MACs" if ms is None else "ms", aim)
        self.temperatures = temperatures
        self._set(self.calibration.chosen)
        return self.calibration

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

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool = False,
        revision: str | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Push the cascade to ``org/name`` on the Hub in one commit; returns its address.

        The repository holds what :meth:`save_pretrained` writes, a model card, and
        ``evaluation.json``. Arguments and errors are those of ``DynamicNetwork.push_to_hub``.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_folder(
                folder,
                name,
                private=private,
                revision=revision,
                commit_message=commit_message,
            )

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
