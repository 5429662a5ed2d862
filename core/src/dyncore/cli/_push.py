"""``dyn push``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dyncore.cascade import from_pretrained


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Push a saved model to the Hub, with a model card, its evaluation and its recipe."""

    folder: Annotated[str, tyro.conf.Positional]
    """Folder written by ``save_pretrained`` or ``dyn train``."""
    name: Annotated[str, tyro.conf.Positional]
    """``org/name``; made if there is none. Log in with ``hf auth login`` or set HF_TOKEN."""
    private: bool = False
    """Make it private."""
    revision: str | None = None
    """Branch to push to, made if there is none; None: the main branch."""
    message: str = "Upload model"
    """Of the commit."""


def run_push(arguments: Sequence[str]) -> None:
    """``dyn push FOLDER org/name``: loads the model strictly, so that nothing broken is pushed."""
    options = tyro.cli(Arguments, prog="dyn push", args=list(arguments))
    if not Path(options.folder).is_dir():
        raise FileNotFoundError(f"no folder {options.folder!r}: give the folder of a saved model")
    model = from_pretrained(options.folder)
    address = model.push_to_hub(
        options.name,
        private=options.private,
        revision=options.revision,
        commit_message=options.message,
    )
    print(f"pushed: {address}")
