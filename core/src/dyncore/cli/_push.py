"""``dyn push``."""

from pathlib import Path

from dyncore.cascade import from_pretrained
from dyncore.cli._options import PushOptions


def run(options: PushOptions) -> None:
    """``dyn push FOLDER org/name``: loads the model strictly, so that nothing broken is pushed."""
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
