"""The site: ``nox -s docs`` builds it, strictly, into build/site, and runs its doctests.

Pages are the documents of this folder. What is generated lies in ``generated/``, which git ignores:
the methods' own READMEs, every recipe, and every room's public names.
"""

import ast
import os
import re
import sys
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

from generated_pages import api, methods, recipe_list  # noqa: E402

project = "dyncore"
author = "The dyncore contributors"
release = version = metadata.version("dyncore")
extensions = [
    *("myst_parser", "sphinxcontrib.mermaid"),
    *("sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon"),
]
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
html_theme = "furo"
html_title = f"dyncore {release}"
default_role = "code"  # our docstrings set names in single or double backquotes
autodoc_typehints = "none"  # signatures show them already
autodoc_member_order = "bysource"
exclude_patterns = ["generated_pages.py"]
# Docstrings are written for people who read source: reStructuredText's finer rules are not theirs.
# Pages, links between them and anchors stay strict.
suppress_warnings = ["docutils", "ref.python"]

LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def linked(text: str, folder: Path, page: Path) -> str:
    """Markdown whose links, relative to ``folder``, hold on ``page`` of the site.

    What is no page of the site is named and not linked.
    """

    def change(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        place = Path(os.path.normpath(folder / target))
        generated = place.parent == DOCS / "generated"
        if place.suffix == ".md" and (generated or (place.parent == DOCS and place.exists())):
            return f"[{words}]({os.path.relpath(place, page.parent)}{anchor})"
        named = place.relative_to(ROOT).as_posix()
        return words if words.strip("`/") == named else f"{words} (`{named}`)"

    return LINK.sub(change, text)


def write_generated(app: Sphinx) -> None:
    """Write the generated pages, those that changed."""
    pages = {"recipes.md": recipe_list(), "api.md": api(ROOT / "core/src/dyncore")}
    for name, (folder, text) in methods(ROOT / "methods").items():
        pages[f"{name}.md"] = linked(text, folder, DOCS / "generated" / "x.md")
    for name, text in pages.items():
        file = DOCS / "generated" / name
        file.parent.mkdir(exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def check_examples(app: Sphinx, docname: str, source: list[str]) -> None:
    """Set links right, and refuse Python examples that are no Python."""
    page = DOCS / f"{docname}.md"
    if docname.startswith("generated/"):
        return
    source[0] = linked(source[0], DOCS, page)
    for code in re.findall(r"^```python\n(.*?)^```", source[0], re.DOTALL | re.MULTILINE):
        ast.parse(code)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("builder-inited", write_generated)
    app.connect("source-read", check_examples)
