"""Fills the generated parts of the documents with what benchmarks measured.

``python benchmarks/pages.py`` writes into the README and into every page of ``docs/`` what belongs
between the markers ``<!-- generated: NAME -->`` and ``<!-- end -->``; ``benchmarks/page_tables.py``
has the names. With ``--check`` nothing is written, and the exit status is 1 if a page is not what
its measurements say.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from page_tables import PARTS

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BEGIN = "<!-- generated: "
MARKED = re.compile(rf"({BEGIN}(\S+) -->)(.*?)(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The page with all its generated parts; a part whose marker ends its line gets lines.

    Raises:
        ValueError: A marker that has no end, or a name that ``PARTS`` lacks.
    """

    def fill(found: re.Match[str]) -> str:
        begin, name, old, end = found.groups()
        if BEGIN in old:
            raise ValueError(f"the generated part {name!r} has no {end} before the next one begins")
        if name not in PARTS:
            raise ValueError(f"no part is called {name!r}; there are {', '.join(PARTS)}")
        new = PARTS[name]()
        return f"{begin}\n\n{new}\n\n{end}" if old.startswith("\n") else f"{begin}{new}{end}"

    if text.count(BEGIN) != text.count("<!-- end -->"):
        raise ValueError(f"a {BEGIN}… --> without <!-- end -->, or the other way round")
    return MARKED.sub(fill, text)


def main(pages: Sequence[Path], check: bool) -> int:
    """Write the pages that are not current, or name them; 1 if any was to be named."""
    stale = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        try:
            new = filled(text)
        except ValueError as error:
            raise ValueError(f"{page.name}: {error}") from error
        if new != text:
            stale.append(page.name)
            if not check:
                page.write_text(new, encoding="utf-8")
    for name in stale:
        print(f"not current: {name}; run python benchmarks/pages.py" if check else f"wrote {name}")
    return int(check and bool(stale))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is stale")
    sys.exit(main(PAGES, parser.parse_args().check))
