"""The figure of what was measured."""

from dyncore.bench._bench import Bench
from dyncore.report import COLOURS, Drawing, drawn, legend_below

WIDTH = 0.8
"""Of the bars of one batch size together."""


def figure(found: Bench) -> Drawing:
    """Bars of milliseconds per image, by batch size and engine."""
    engines = list(dict.fromkeys(each.engine for each in found.measured))
    batches = list(dict.fromkeys(each.batch for each in found.measured))
    times = {(each.engine, each.batch): each.milliseconds for each in found.measured}
    wide = WIDTH / len(engines)
    with drawn(2.4) as (canvas, (axes,)):
        for number, engine in enumerate(engines):
            here = [n for n, batch in enumerate(batches) if (engine, batch) in times]
            places = [n + (number - (len(engines) - 1) / 2) * wide for n in here]
            heights = [times[engine, batches[n]] for n in here]
            bars = axes.bar(places, heights, wide, label=engine, color=COLOURS[number])
            axes.bar_label(bars, fmt="%.3g", fontsize=6, padding=1)
        axes.set_xticks(range(len(batches)), [f"batch {batch}" for batch in batches])
        axes.set(ylabel="milliseconds per image")
        legend_below(canvas, len(engines), max(map(len, engines)))
    said = "; ".join(
        f"batch {each.batch}, {each.engine}: {each.milliseconds:.3g} ms" for each in found.measured
    )
    return Drawing("bench", "Milliseconds per image", f"{found.about} {said}.", canvas)
