"""The table of what can be known, before a small network has ended, of how sure it will be."""

from page_markdown import NOT_MEASURED, Row, part, read_if_measured, table

CHOSEN_BY = {
    "own": "its own probabilities, at its end",
    "head": "a head that learns the classes",
    "taught": "a head that learns where the small path fails",
    "random": "chance",
}


def foretold() -> str:
    """Accuracy where so many images go on, by who chooses which."""
    report = read_if_measured("foretold")
    if report is None:
        return NOT_MEASURED
    rows = report["rows"]
    shares = rows[0]["shares"]
    head = ("which images go on is said by", "after block", *map(_percent, shares), "caught")
    ordered = sorted(rows, key=lambda row: list(CHOSEN_BY).index(row["kind"]))
    return part("foretold", report, table(head, map(_line, ordered)))


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _line(row: Row) -> list[str]:
    after = "" if row["block"] is None else f"{row['block'] + 1} of {row['blocks']}"
    accuracies = (f"{accuracy:.4f}" for accuracy in row["accuracies"])
    return [CHOSEN_BY[row["kind"]], after, *accuracies, _percent(row["caught"])]
