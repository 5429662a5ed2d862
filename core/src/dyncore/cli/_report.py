"""``dyn report``."""

import json

from dyncore.cli._options import ReportOptions
from dyncore.data import load_dataset
from dyncore.report import read_printed, read_subjects, timed, write_report


def run(options: ReportOptions) -> None:
    """``dyn report EVALUATION ...``."""
    subjects = read_subjects(options.evaluations)
    about = subjects[0].evaluation.about
    printed = [row for file in options.printed for row in read_printed(file, about.dataset)]
    dataset = None
    if options.data is not None:
        dataset = load_dataset(options.data, skip_corrupt=options.skip_corrupt)
    if options.measure and dataset is not None:
        subjects = timed(subjects, dataset)
    page = write_report(
        subjects,
        options.output,
        dataset=dataset,
        categories=options.superclasses,
        printed=printed,
    )
    if options.json:
        rows = [
            {"model": subject.name, **subject.evaluation.metrics(), "ms": subject.milliseconds}
            for subject in subjects
        ]
        print(json.dumps(rows, indent=2))
    else:
        print(f"report: {page}")
