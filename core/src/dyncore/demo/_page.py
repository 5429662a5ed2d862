"""The page, in Gradio."""

import math
from typing import Any

from PIL import Image

from dyncore.cascade import Cascade
from dyncore.demo._ask import Demonstration
from dyncore.demo._blocks import blocks_html
from dyncore.network import DynamicNetwork

SHOWN = 5
"""Classes, the likeliest first."""
EMPTY = "<p>Drop an image to see what runs for it.</p>"


def demo_page(model: DynamicNetwork | Cascade, name: str) -> Any:
    """A ``gradio.Blocks`` about ``model``; its ``launch()`` serves it.

    An image goes in; the prediction, blocks lit or skipped, MACs and milliseconds come out, beside
    those of the static network. A calibrated model has a slider, its budget. Raises
    ModuleNotFoundError without ``dyncore[demo]``, and ValueError as :class:`Demonstration` does.
    """
    import gradio

    shown = Demonstration(model)

    def ask(image: Image.Image | None, budget: float | None = None) -> tuple[Any, str]:
        if image is None:
            return None, EMPTY
        answer = shown.ask(image, budget)
        return answer.probabilities, blocks_html(answer)

    with gradio.Blocks(title=f"dyncore: {name}", analytics_enabled=False) as page:
        gradio.Markdown(f"# What an image needs\n\n{_about(model, name)}")
        with gradio.Row():
            with gradio.Column(min_width=280):
                image = gradio.Image(
                    type="pil",
                    label="Image",
                    sources=["upload", "clipboard"],
                    height=280,
                    elem_classes="dyn-image",
                )
                inputs = [image, *_slider(gradio, shown)]
            with gradio.Column(min_width=280):
                label = gradio.Label(label="Prediction", num_top_classes=SHOWN)
                ran = gradio.HTML(EMPTY, apply_default_css=False, padding=True)
        changes = [component.change for component in inputs]  # a slider's by keys, too
        gradio.on(changes, ask, inputs, [label, ran], api_name="ask", trigger_mode="always_last")
    return page


def _slider(gradio: Any, shown: Demonstration) -> list[Any]:
    """The dial, if the model has one."""
    if shown.dial is None:
        return []
    least, most, chosen = (math.ceil(100 * share - 1e-6) / 100 for share in shown.dial)
    label = f"Budget: mean cost of an image, as a share of what the {shown.beside} takes"
    return [gradio.Slider(least, most, value=chosen, step=0.01, label=label)]


def _about(model: DynamicNetwork | Cascade, name: str) -> str:
    if isinstance(model, Cascade):
        return f"**{name}** asks its members in turn, and stops where an answer is sure."
    return f"**{name}** decides for every image anew which of its blocks run."
