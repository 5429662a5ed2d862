"""Networks asked in order: an image whose answer is unsure goes on to the next."""

import math
import os
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dyncore.cascade._calibration import Aim, Calibration, Setting, calibration
from dyncore.cascade._classes import columns_of, common_size
from dyncore.cascade._clock import milliseconds
from dyncore.cascade._confidence import Answer, Confidence, confidence_of, join, log_probabilities
from dyncore.cascade._front import ALL_GO_ON
from dyncore.cascade._member import Member
from dyncore.cascade._monitor import Monitor
from dyncore.cascade._outcomes import Rule, outcomes
from dyncore.cascade._policy import Policy
from dyncore.cascade._predictions import Ask, Batches, known_macs, predict
from dyncore.cascade._quiet import extremes, take
from dyncore.cascade._saving import save_cascade
from dyncore.cascade._seen import Seen
from dyncore.cascade._temperature import fit_temperature
from dyncore.data import Preprocessing
from dyncore.gating import Decision, Deferred, ExecutionPath
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
            preprocessing=_preprocessing(self.members),
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
            return self._output(images, images.new_zeros(0, self.num_classes), member, member)
        logits, macs = self._checked(0, asked[0](images), count, None)
        said = log_probabilities(logits, self.temperatures[0])
        member = torch.zeros(count, dtype=torch.int64, device=images.device)
        rows = None  # numbers of the images that are still asked about; None: all
        for index in range(1, len(asked)):
            goes_on = self._going_on(index - 1, said if rows is None else said[rows])
            if goes_on is False:
                break
            if goes_on is not True:
                rows = goes_on if rows is None else rows[goes_on]
            some = images if rows is None else take(images, rows)
            logits, cost = self._checked(index, asked[index](some), len(some), rows)
            new = log_probabilities(logits, self.temperatures[index])
            if rows is None:
                said = join(said, new, index, self.answer)
                macs = None if macs is None or cost is None else macs + cost
                member.fill_(index)
            else:
                said[rows] = join(said[rows], new, index, self.answer)
                macs = None if macs is None or cost is None else macs.index_add(0, rows, cost)
                member[rows] = index
        return self._output(images, said, member, macs)

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
        self, index: int, said: tuple[Tensor, Tensor | None], images: int, rows: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """What a member said about so many images, in the cascade's class order; see `logits`."""
        logits, macs = said
        if self.num_classes is None:
            self.num_classes = logits.shape[1]
        if logits.shape != (images, self.num_classes):
            raise ValueError(
                f"{self.members[index].name} (member {index}) answers with shape "
                f"{tuple(logits.shape)}, expected {(images, self.num_classes)}: one row per image, "
                "one logit per class"
            )
        if not math.isfinite(logits.sum()):  # or too large a sum
            self._refuse_infinity(index, logits, rows)
        columns = self._buffers[f"_columns{index}"]
        return (logits if columns is None else logits[:, columns]), macs

    def _refuse_infinity(self, index: int, logits: Tensor, rows: Tensor | None) -> None:
        wrong = (~logits.isfinite().all(1)).nonzero()[:, 0]
        numbers = (wrong if rows is None else rows[wrong]).tolist()
        if numbers:
            raise ValueError(
                f"{self.members[index].name} (member {index}) answers NaN or infinity for image "
                f"{', '.join(map(str, numbers[:8]))} of the batch: look at the image and at the "
                "member's weights"
            )

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

    def _going_on(self, index: int, said: Tensor) -> Tensor | bool:
        """Numbers of the answers that go on from a member; True: all of them, False: none."""
        confidence = confidence_of(said, self.confidence)
        if len(said) == 1:  # in a few microseconds
            return float(confidence) < self._thresholds[index]
        unsure = confidence < self._thresholds[index]
        most = math.ceil(self.cap * len(said))
        if most < len(said):
            least = torch.zeros_like(unsure)
            least[confidence.topk(most, largest=False).indices] = True
            unsure = unsure & least
        rows = unsure.nonzero()[:, 0]
        return rows if 0 < len(rows) < len(said) else bool(len(rows))

    def _output(self, images: Tensor, said: Tensor, member: Tensor, macs: Tensor | None) -> Output:
        decisions = Deferred(partial(_decisions, member, len(self.members), said.dtype))
        return Output(
            logits=said,
            path=ExecutionPath(decisions),
            router_features=(None,) * len(self.members),
            pooled=(None,) * len(self.members),
            images=images,
            member=member,
            macs=macs,
        )

    def _check(self, images: Tensor) -> None:
        if self.training:
            raise ValueError("a cascade answers in evaluation: call cascade.eval() first")
        if images.ndim != 4 or images.shape[2] != images.shape[3]:
            raise ValueError(
                f"images have shape {tuple(images.shape)}, expected (batch, 3, size, size): cut "
                "them to squares first, e.g. with dyncore.transforms(cascade)"
            )
        if len(images):
            least, greatest = extremes(images)
            if not (least >= 0 and greatest <= 1):
                raise ValueError(
                    f"images are in [{least:.3g}, {greatest:.3g}], expected [0, 1]: "
                    "a cascade's members normalise them, each in its own way"
                )

    def extra_repr(self) -> str:
        """Names, thresholds and rule, for ``print``."""
        names = " → ".join(member.name for member in self.members)
        return f"{names}, confidence={self.confidence}, thresholds={self.thresholds}"


def _decisions(member: Tensor, members: int, dtype: torch.dtype) -> Sequence[Decision]:
    """Each member as a block, which is on for the images that it was asked about."""
    on = member[:, None] >= torch.arange(members, device=member.device)
    return ExecutionPath.of(on, (1,) * members, dtype=dtype).decisions


def _preprocessing(members: Sequence[Member]) -> Preprocessing | None:
    """What suits the member of the largest input, but for the normalisation."""
    known = [member.preprocessing for member in members if member.preprocessing is not None]
    if not known:
        return None
    largest = max(known, key=lambda preprocessing: preprocessing.size)
    unchanged = Preprocessing(mean=(0.0,) * 3, std=(1.0,) * 3, size=largest.size)
    return Preprocessing(**{**vars(unchanged), "resize": largest.resize})
