"""Blocks lit or skipped, as HTML that is read aloud, too."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from dyncore.demo._ask import BLOCK, Answer, RanBlock


def blocks_html(answer: Answer) -> str:
    """One column per block, one cell per path; what is skipped is hollow."""
    style = files("dyncore.demo").joinpath("blocks.css").read_text(encoding="utf-8")
    cells = "\n".join(map(_block, answer.blocks))
    return (
        f'<style>{style}</style>\n<div class="dyn">\n'
        f'<p class="dyn-said">{escape(summary(answer.blocks))}</p>\n'
        f'<ol class="dyn-blocks">\n{cells}\n</ol>\n{_costs(answer)}\n</div>'
    )


def summary(blocks: Sequence[RanBlock]) -> str:
    """What ran, in a sentence."""
    on = sum(any(block.paths) for block in blocks)
    what = "blocks" if all(block.name.startswith(BLOCK) for block in blocks) else "members"
    text = f"{on} of {len(blocks)} {what} ran"
    paths = [ran for block in blocks for ran in block.paths]
    if len(paths) > len(blocks):
        text += f", {sum(paths)} of {len(paths)} paths"
    shares = [block.channels for block in blocks if block.channels is not None and any(block.paths)]
    if shares:
        text += f", and in them {sum(shares) / len(shares):.0%} of the channels"
    always = sum(not block.decided for block in blocks)
    return text + (f"; {always} would for any image." if always else ".")


def _block(block: RanBlock) -> str:
    said = ", ".join("runs" if ran else "skipped" for ran in block.paths)
    if block.channels is not None and any(block.paths):
        said += f", {block.channels:.0%} of its channels"
    words = f"{block.name}: {said}"
    share = 1.0 if block.channels is None else block.channels
    cells = "".join(
        f'<i class="{"on" if ran else "off"}" style="--share:{share:.2f}"></i>'
        for ran in block.paths
    )
    short = block.name.removeprefix(BLOCK)
    return (
        f'<li title="{escape(words)}" aria-label="{escape(words)}">{cells}'
        f"<span>{escape(short)}</span></li>"
    )


def _costs(answer: Answer) -> str:
    own, static = answer.own, answer.static
    rows = (
        ("MACs", _count(own.macs), _count(static.macs), own.macs / static.macs),
        (
            "ms",
            f"{own.milliseconds:.3g}",
            f"{static.milliseconds:.3g}",
            own.milliseconds / static.milliseconds,
        ),
    )
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{this}</td><td>{that}</td><td>{share:.2f}</td></tr>'
        for name, this, that, share in rows
    )
    return (
        '<table class="dyn-costs"><thead><tr><td></td><th scope="col">this image</th>'
        f'<th scope="col">{answer.beside}</th><th scope="col">share</th></tr></thead>'
        f"<tbody>{body}</tbody></table>"
        '<p class="dyn-note">MACs count convolutions and linear layers, routers included; '
        "1 MAC = 2 FLOPs. Milliseconds were measured now, in the engine, one image at a time.</p>"
    )


def _count(macs: int) -> str:
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if macs >= size:
            return f"{macs / size:.3g} {prefix}"
    return str(macs)
