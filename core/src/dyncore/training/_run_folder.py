"""A run's folder: whether it may be used, and where its run goes on."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from dyncore.files import parse_json, printable, replacing
from dyncore.gating import config_to_dict
from dyncore.recipes import Recipe
from dyncore.training._checkpoint import (
    Checkpoint,
    checkpoint_path,
    checkpoints,
    damage_of,
    load_checkpoint,
)
from dyncore.training._options import RunOptions
from dyncore.training._storage import writing

RECIPE_FILE = "recipe.json"
METRICS_FILE = "metrics.jsonl"
EVALUATION_FILE = "evaluation.parquet"
CHECKPOINTS = "checkpoints"
MODEL = "model"

FIXED = ("seed", "init", "precision", "accumulate", "sync_batch_norm")
"""Options that a run keeps when it goes on: what they change would not show in its recipe."""


@dataclass(frozen=True)
class Start:
    """Where a run begins."""

    checkpoint: Checkpoint | None = None
    """What to go on from; None: begin at the beginning."""
    damaged: tuple[tuple[Path, str], ...] = ()
    """Newer checkpoints that cannot be used, and why."""


def find_start(folder: Path, recipe: Recipe, options: RunOptions, data: str) -> Start:
    """The newest whole checkpoint, if the folder holds a run. Writes nothing.

    Raises FileExistsError if there is a run and ``resume`` is 'never', and ValueError if it is
    the run of a recipe with other settings, of other options or on other data: ``data`` is the
    data set's fingerprint.
    """
    file = folder / RECIPE_FILE
    check_free(folder, options)
    if not file.exists():
        return Start()
    _check_settings(file, recipe, options)
    damaged = []
    for path in reversed(checkpoints(folder / CHECKPOINTS)):
        if (reason := damage_of(path)) is not None:
            damaged.append((path, reason))
            continue
        checkpoint = load_checkpoint(path)
        if checkpoint.progress.data != data:
            raise ValueError(
                f"{folder} was made with other data: its classes, labels or pixels differ from "
                f"those of {options.data or recipe.dataset}. Resume with the same --data, or "
                "choose another --output"
            )
        return Start(checkpoint, tuple(damaged))
    return Start(None, tuple(damaged))


def check_free(folder: Path, options: RunOptions) -> None:
    """Raise FileExistsError if the folder holds a run that is not to go on."""
    if options.resume == "never" and (folder / RECIPE_FILE).exists():
        raise FileExistsError(
            f"{folder} already holds a run: continue it with --resume auto, choose another "
            "--output, or delete it"
        )


def forget_if_untrained(folder: Path) -> None:
    """Let a folder hold no run any more where the run has not taken a step that was kept."""
    if [path.name for path in checkpoints(folder / CHECKPOINTS)] == [
        checkpoint_path(folder, 0).name
    ]:
        (folder / RECIPE_FILE).unlink(missing_ok=True)


def _check_settings(file: Path, recipe: Recipe, options: RunOptions) -> None:
    folder = file.parent
    try:
        saved = parse_json(file.read_bytes())
        before = {name: saved["options"][name] for name in FIXED}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise ValueError(
            f"{file} cannot be read, so nobody knows which run this is: delete {folder}, or "
            "choose another --output"
        ) from error
    wanted = _describe(recipe, options)
    for name in FIXED:
        old, new = before[name], getattr(options, name)
        if old != new:
            raise ValueError(
                f"{folder} was made with {name} {printable(str(old))}, not {new}: resume with the "
                f"same {name}"
            )
    changed = [key for key in wanted if saved.get(key) != wanted[key]]
    if settings := [key for key in changed if key not in ("source", "options")]:
        raise ValueError(
            f"{folder} was made with another {', '.join(settings)}: resume with the settings that "
            f"{file} shows, or choose another --output"
        )


def save_recipe(folder: Path, recipe: Recipe, options: RunOptions) -> None:
    """Write ``recipe.json``: the recipe as it runs, and the options.

    Raises StorageError if it cannot be written.
    """
    with writing(folder / RECIPE_FILE):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(folder)
        text = json.dumps(_describe(recipe, options), indent=2)
        with replacing(folder / RECIPE_FILE) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


def _remove_left_overs(folder: Path) -> None:
    """Delete files that a killed run had not yet given their names: ``.PROCESS.NAME``."""
    for place in (folder, folder / MODEL):
        for file in place.glob(".*"):
            if re.fullmatch(r"\.\d+\..+", file.name) and file.is_file():
                file.unlink()


def _describe(recipe: Recipe, options: RunOptions) -> dict[str, object]:
    described: dict[str, object] = config_to_dict(recipe)
    return described | {"options": config_to_dict(options)}
