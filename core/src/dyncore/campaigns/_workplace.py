"""Where a campaign reads and writes on this machine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from dyncore.campaigns._campaign import Campaign, Run
from dyncore.campaigns._settings import Settings
from dyncore.training import Arguments, parse_arguments


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

    def settings(self, run: Run) -> Settings:
        return Settings.of(self._parsed(run), run.entry.init)

    def arguments(self, run: Run) -> Arguments:
        """What it is trained with, where nothing is :meth:`missing`."""
        parsed = self._parsed(run)
        options = replace(
            parsed.run,
            data=self.data,
            output=str(self.folder(run)),
            seed=run.seed,
            resume="auto",
            init=self._start(run),
        )
        return replace(parsed, run=options)

    def missing(self, run: Run) -> str | None:
        """What keeps a run, whose donors are done, from beginning here; None: nothing."""
        name = run.entry.init
        if name is None:
            return None
        donor = self.campaign.donor(run, name)
        if donor is None:
            return None if name in self.models else f"give --models {name}=FOLDER"
        folder = self.model(donor)
        return None if folder.is_dir() else f"{donor.name} was run elsewhere: copy {folder}"

    def _start(self, run: Run) -> str | None:
        name = run.entry.init
        if name is None:
            return None
        donor = self.campaign.donor(run, name)
        return self.models[name] if donor is None else str(self.model(donor))

    def _parsed(self, run: Run) -> Arguments:
        entry = run.entry
        return _parse(f"{self.file}: runs.{entry.name}", entry.recipe, entry.options)


@cache
def _parse(where: str, recipe: str, words: tuple[str, ...]) -> Arguments:
    """Entries are asked again and again, and tyro takes its time."""
    return parse_arguments(recipe, words, prog=where)
