"""One HTML page that needs no other file."""

import base64
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from dyncore.report._drawing import Drawing

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The page asks nobody for anything, and runs nothing, whatever a model is called."""


def page(
    title: str,
    summary: str,
    sections: Sequence[tuple[str, Sequence[Drawing]]],
    table: Sequence[Sequence[str]] = (),
) -> str:
    """The page; each figure has its words as alternative text and, folded, below it.

    ``table`` has its head as the first row. Names of strangers are escaped.
    """
    style = files("dyncore.report").joinpath("page.css").read_text(encoding="utf-8")
    parts = [_table(table)] if table else []
    parts += [_section(heading, drawings) for heading, drawings in sections if drawings]
    body = "\n".join(parts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
</header>
<main>
{body}
</main>
<footer>Costs are MACs of convolutions and linear layers, routers included; 1 MAC = 2 FLOPs.
Made by dyncore.</footer>
</body>
</html>
"""


def _section(heading: str, drawings: Sequence[Drawing]) -> str:
    figures = "\n".join(map(_figure, drawings))
    title = f"<h2>{escape(heading)}</h2>\n" if heading else ""
    return f'<section>\n{title}<div class="figures">\n{figures}\n</div>\n</section>'


def _figure(drawing: Drawing) -> str:
    image = base64.b64encode(drawing.svg.encode()).decode()
    return (
        f'<figure id="{escape(drawing.name)}">\n<h3>{escape(drawing.title)}</h3>\n'
        f'<img alt="{escape(drawing.text)}" src="data:image/svg+xml;base64,{image}">\n'
        f"<details><summary>In words</summary><figcaption>{escape(drawing.text)}</figcaption>"
        "</details>\n</figure>"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = [
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in body
    ]
    return (
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n'
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )
