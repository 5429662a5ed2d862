"""Where a campaign reads and writes on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from dyncore.campaigns._beside import as_subnet, at_random
from dyncore.campaigns._campaign import Campaign, Entry, Run
from dyncore.campaigns._result import Result
from dyncore.campaigns._settings import Settings
from dyncore.objectives import TeacherConfig
from dyncore.recipes import Recipe
from dyncore.training import Arguments, parse_arguments

TEACHER = "teacher"
"""Key of the objective's part that reads a trained network."""


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """A campaign on this machine."""

    file: Path
    """The campaign's."""
    campaign: Campaign
    data: str | None
    """Data set in place of the recipes'."""
    output: Path
    """Of the runs' folders: ``<output>/<campaign>/<run>/``."""
    results: Path
    """Of the results: ``<results>/<run>.json``."""
    models: Mapping[str, str]
    """Folders of the campaign's models by name, as far as they are given."""

    def __post_init__(self) -> None:
        if unknown := sorted(self.models.keys() - self.campaign.models.keys()):
            known = ", ".join(self.campaign.models) or "none"
            raise ValueError(f"{self.file} has no model {unknown[0]!r}; its [models] are: {known}")

    def result_file(self, run: Run) -> Path:
        return self.results / f"{run.name}.json"

    def folder(self, run: Run) -> Path:
        """Of what the run writes while it trains."""
        return self.output / self.campaign.name / run.name

    def model(self, run: Run) -> Path:
        """Folder of the model that a finished run leaves."""
        return self.folder(run) / run.entry.recipe / "model"

    def settings(self, run: Run) -> Settings | None:
        """What its result follows from; None while a run that it needs has no result."""
        derived = self._derived(run)
        return None if derived is None else Settings.of(derived, run.entry)

    def arguments(self, run: Run) -> Arguments:
        """What it is trained with, where it has settings and nothing is :meth:`missing`."""
        derived, entry = self._derived(run), run.entry
        assert derived is not None
        recipe = derived.recipe
        if entry.teacher is not None:
            teacher = replace(_teacher(recipe, entry), model=self._weights(run, entry.teacher))
            recipe = replace(recipe, objective={**recipe.objective, TEACHER: teacher})
        options = replace(
            derived.run,
            data=self.data,
            output=str(self.folder(run)),
            seed=run.seed,
            resume="auto",
            init=None if entry.init is None else self._weights(run, entry.init),
        )
        return Arguments(run=options, recipe=recipe)

    def missing(self, run: Run) -> str | None:
        """What keeps a run, whose donors are done, from beginning here; None: nothing."""
        for name in run.entry.models:
            donor = self.campaign.donor(run, name)
            if donor is None and name not in self.models:
                return f"give --models {name}=FOLDER"
            if donor is not None and not self.model(donor).is_dir():
                return f"{donor.name} was run elsewhere: copy {self.model(donor)}"
        return None

    def result(self, run: Run) -> Result | None:
        """What is kept of the run; None: it is not done. ValueError for a file that is none."""
        file = self.result_file(run)
        return Result.load(file) if file.exists() else None

    def _weights(self, run: Run, name: str) -> str:
        donor = self.campaign.donor(run, name)
        return self.models[name] if donor is None else str(self.model(donor))

    def _derived(self, run: Run) -> Arguments | None:
        """The recipe as the results of other runs make it."""
        entry = run.entry
        parsed = _parse(f"{self.file}: runs.{entry.name}", entry.recipe, entry.options)
        recipe = parsed.recipe
        if entry.teacher is not None:
            _teacher(recipe, entry)
        for name, derive in ((entry.subnet_of, as_subnet), (entry.rates_of, at_random)):
            donor = None if name is None else self.campaign.donor(run, name)
            if donor is not None:
                result = self.result(donor)
                if result is None:
                    return None
                recipe = derive(recipe, result)
        return replace(parsed, recipe=recipe)


def _teacher(recipe: Recipe, entry: Entry) -> TeacherConfig:
    part = recipe.objective.get(TEACHER)
    if not isinstance(part, TeacherConfig):
        raise ValueError(
            f"runs.{entry.name} has a teacher, but recipe {recipe.name!r} does not listen: take "
            f"{recipe.name}+taught"
        )
    return part


@cache
def _parse(where: str, recipe: str, words: tuple[str, ...]) -> Arguments:
    """Entries are asked again and again, and tyro takes its time."""
    return parse_arguments(recipe, words, prog=where)
