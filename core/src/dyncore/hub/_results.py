"""Results as the Hub's leaderboards read them: ``.eval_results/*.yaml``.

https://huggingface.co/docs/hub/eval-results has the format. A data set that is a benchmark collects
them; the model's page shows them in any case.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

FOLDER = ".eval_results"
TASK_ID = "default"
"""Of a data set with one task."""


def result_files(dataset: str | None, metrics: Mapping[str, float]) -> dict[str, bytes]:
    """The file of the accuracy, by its name; none for a data set that is not on the Hub."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined]

    if dataset is None or dataset.count("/") != 1 or "accuracy" not in metrics:
        return {}
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=TASK_ID,
        value=metrics["accuracy"],
        notes=_notes(metrics),
    )
    content: list[dict[str, Any]] = eval_result_entries_to_yaml([entry])
    return {f"{FOLDER}/{dataset.partition('/')[2]}.yaml": yaml_dump(content).encode()}


def _notes(metrics: Mapping[str, float]) -> str:
    said = "share of right answers on the test split, hard decisions"
    if "macs_ratio" in metrics:
        said += f", at {metrics['macs_ratio']:.3f} of the static network's MACs"
    return said


def results_of(names: Iterable[str]) -> list[str]:
    """Those of a repository's files that hold such results."""
    return [name for name in names if fnmatchcase(name, f"{FOLDER}/*.yaml")]
