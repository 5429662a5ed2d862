"""Figures of evaluations and of training runs, as pages and as files."""

from dyncore.report._curves import write_curves
from dyncore.report._drawing import COLOURS, Drawing, drawn, legend_below
from dyncore.report._printed import PrintedRow, read_printed
from dyncore.report._report import summary_rows, timed, write_report
from dyncore.report._subject import Subject, read_subjects

__all__ = [
    "COLOURS",
    "Drawing",
    "PrintedRow",
    "Subject",
    "drawn",
    "legend_below",
    "read_printed",
    "read_subjects",
    "summary_rows",
    "timed",
    "write_curves",
    "write_report",
]
