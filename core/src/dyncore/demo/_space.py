"""The page as a Space of the Hugging Face Hub: a folder to push."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template

from huggingface_hub import SpaceCard, SpaceCardData

from dyncore.cascade import Cascade
from dyncore.files import parse_json, replacing
from dyncore.hub import CASCADE_FILE, CONFIG_FILE
from dyncore.network import DynamicNetwork, transforms

MODEL = "model"
_APP = '''"""What an image needs of $name."""

import dyncore
from dyncore.demo import demo_page

demo = demo_page(dyncore.from_pretrained("model"), $literal)

if __name__ == "__main__":
    demo.launch()
'''
_TEXT = """
# {name}

Drop an image: what runs for it, and what that takes beside the static network. Made by
`dyn demo --space`; `python app.py` runs it.
"""


def write_space(model: DynamicNetwork | Cascade, name: str, folder: str | os.PathLike[str]) -> Path:
    """Write ``app.py``, ``requirements.txt``, ``README.md`` and the model into a new folder.

    ``hf upload ORG/NAME FOLDER --repo-type space`` makes it a Space. Raises FileExistsError for a
    folder that is not empty, and ValueError for a model that does not know its images' size.
    """
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} is there already: name a new folder")
    transforms(model)  # refuses a model that does not know what its images go through
    target.mkdir(parents=True, exist_ok=True)
    try:
        model.save_pretrained(target / MODEL)
        words = Template(_APP).substitute(name=name.replace('"', "'"), literal=repr(name))
        data = SpaceCardData(
            title=name, sdk="gradio", sdk_version=_installed("gradio"), app_file="app.py"
        )
        contents = {
            "app.py": words,
            "requirements.txt": "".join(f"{line}\n" for line in _requirements(target / MODEL)),
            "README.md": f"---\n{data.to_yaml()}\n---\n{_TEXT.format(name=name)}",
        }
        SpaceCard(contents["README.md"])  # the Hub reads it as this does
        for file, text in contents.items():
            with replacing(target / file) as temporary:
                temporary.write_text(text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(target)
        raise
    return target


def _requirements(model: Path) -> list[str]:
    """dyncore, and the packages of the model's parts."""
    needed: dict[str, str] = {}
    for file in sorted([*model.rglob(CONFIG_FILE), *model.rglob(CASCADE_FILE)]):
        needed |= parse_json(file.read_bytes())["requires"]
    needed.pop("dyncore", None)
    return [f"dyncore[demo]>={version('dyncore')}", *(f"{p}>={v}" for p, v in needed.items())]


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
