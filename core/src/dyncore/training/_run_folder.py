"""A run's folder: whether it may be used, and where its run goes on."""

import json
import os
from pathlib import Path

from dyncore.gating import config_to_dict
from dyncore.training._checkpoint import checkpoints
from dyncore.training._options import RunOptions
from dyncore.training._recipe import Recipe

RECIPE_FILE = "recipe.json"


def find_start(folder: Path, recipe: Recipe, options: RunOptions) -> Path | None:
    """The checkpoint to go on from; None: begin at the beginning. Writes nothing.

    Raises FileExistsError if the folder holds a run and ``resume`` is off, and ValueError if it is
    the run of another seed or of a recipe with other settings.
    """
    file = folder / RECIPE_FILE
    if not file.exists():
        return None
    if not options.resume:
        raise FileExistsError(
            f"{folder} already holds a run: continue it with --resume, choose another --output, "
            "or delete it"
        )
    saved, wanted = json.loads(file.read_text(encoding="utf-8")), _describe(recipe, options)
    seed = saved["options"]["seed"]
    if seed != options.seed:
        raise ValueError(
            f"{folder} was made with seed {seed}, not {options.seed}: resume with the same seed"
        )
    changed = [key for key in wanted if saved.get(key) != wanted[key]]
    if settings := [key for key in changed if key not in ("source", "options")]:
        raise ValueError(
            f"{folder} was made with another {', '.join(settings)}: resume with the settings that "
            f"{file} shows, or choose another --output"
        )
    existing = checkpoints(folder / "checkpoints")
    return existing[-1] if existing else None


def save_recipe(folder: Path, recipe: Recipe, options: RunOptions) -> None:
    """Write ``recipe.json``: the recipe as it runs, and the options."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{RECIPE_FILE}.{os.getpid()}"
    text = json.dumps(_describe(recipe, options), indent=2)
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, folder / RECIPE_FILE)


def _describe(recipe: Recipe, options: RunOptions) -> dict[str, object]:
    described: dict[str, object] = config_to_dict(recipe)
    return described | {"options": config_to_dict(options)}
