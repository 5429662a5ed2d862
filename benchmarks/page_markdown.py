"""From a file of ``benchmarks/results/`` to Markdown: what all generated parts are made of."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]
NOT_MEASURED = "Not measured yet."
"""A generated part of which there is no file."""

BACKBONES = {
    "resnet50": "ResNet-50",
    "mobilenetv2": "MobileNetV2",
    "resnet110-cifar": "CIFAR ResNet-110",
    "resnet18-cifar": "CIFAR ResNet-18",
}
"""Names of networks, in the order of tables."""


def read(name: str) -> Row:
    """``benchmarks/results/<name>.json``."""
    report: Row = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return report


def read_if_measured(name: str) -> Row | None:
    """The same; None where there is no such file."""
    return read(name) if (RESULTS / f"{name}.json").exists() else None


def measured(name: str, report: Row) -> str:
    """How, on what and with what it was measured, and where all of it is."""
    threads = f"{report['threads']} thread{'s' if report['threads'] > 1 else ''}"
    machine = [f"{threads} on {report['processor']}"]
    if report.get("device", "cpu") != "cpu":
        machine.append(report["device"])
    packages = [key for key in ("torch", "onnxruntime", "openvino") if report.get(key)]
    versions = [f"{key} {report[key].partition('+')[0]}" for key in packages]
    where = ", ".join([*machine, *versions])
    return f"`{report['command']}`; {where} ([JSON](../benchmarks/results/{name}.json))."


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def part(name: str, report: Row, *paragraphs: str) -> str:
    """What was measured on what, then the paragraphs."""
    return "\n\n".join([measured(name, report), *paragraphs])


def bold(text: str, if_true: bool) -> str:
    """``text``, in bold where it misses an aim."""
    return f"**{text}**" if if_true else text
