"""``dyn new-method``: the package of a method, ready to be filled."""

import re
from pathlib import Path
from string import Template

from dyncore.cli._options import NewMethodOptions

SKELETON = Path(__file__).parent / "skeleton"
"""The files, with $name and ${Name} where the method's name belongs."""
NAME = re.compile(r"[a-z][a-z0-9]{0,29}")


def run(options: NewMethodOptions) -> None:
    """``dyn new-method NAME [--output FOLDER]``."""
    if not NAME.fullmatch(options.name):
        raise ValueError(
            "a method is named by small letters and digits, such as 'mynet', not "
            f"{options.name!r}: the name of a model is METHOD-BACKBONE"
        )
    folder = Path(options.output) / options.name
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: choose another --output or name")
    for name, text in skeleton(options.name).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    print(f"written: {folder}; the equation is in src/dyn_{options.name}/router.py")
    print(f"next: pip install -e {folder} && dyn train {options.name}-resnet20-digits-b0.6")


def skeleton(name: str) -> dict[str, str]:
    """Every file by its path in the package."""
    found = {}
    for template in sorted(SKELETON.rglob("*.txt")):
        place = template.relative_to(SKELETON).as_posix().removesuffix(".txt")
        text = Template(template.read_text(encoding="utf-8"))
        filled = text.substitute(name=name, Name=name.capitalize())
        found[place.replace("dyn_name", f"dyn_{name}")] = filled
    return found
