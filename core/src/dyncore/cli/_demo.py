"""``dyn demo``."""

from dyncore.cascade import from_pretrained
from dyncore.cli._label import label
from dyncore.cli._options import DemoOptions
from dyncore.cli._waiting import waiting
from dyncore.demo import demo_page, write_space


def run(options: DemoOptions) -> None:
    """``dyn demo MODEL [--space FOLDER]``."""
    model = from_pretrained(options.model, revision=options.revision)
    name = label(options.model)
    if options.space is None:
        with waiting("building the engines"):
            page = demo_page(model, name)
        page.launch(server_port=options.port)  # until Ctrl-C; says where
        return
    folder = write_space(model, name, options.space)
    print(f"written: {folder}")
    print(f"next: hf upload ORG/NAME {folder} --repo-type space")
