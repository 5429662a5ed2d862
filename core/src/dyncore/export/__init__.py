"""Files that run a network without this project's code, and the part of a network they need."""

from dyncore.export._agreement import Agreement
from dyncore.export._changes import Changes, changes
from dyncore.export._errors import ExportError
from dyncore.export._freeze import fixed_paths, freeze_unused
from dyncore.export._onnx import export_onnx
from dyncore.export._pt2 import export_pt2
from dyncore.export._timing import Timing, time_file

__all__ = [
    "Agreement",
    "Changes",
    "ExportError",
    "Timing",
    "changes",
    "export_onnx",
    "export_pt2",
    "fixed_paths",
    "freeze_unused",
    "time_file",
]
