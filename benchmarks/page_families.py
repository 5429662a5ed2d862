"""Which networks of timm and torchvision become dynamic, and what of them runs compiled."""

from page_markdown import NOT_MEASURED, Row, part, read_if_measured, table

FILE = "families"


def families() -> str:
    """A row per network."""
    report = read_if_measured(FILE)
    if report is None:
        return NOT_MEASURED
    rows = [_row(row) for row in report["rows"]]
    head = ("network", "dynamic", "runs compiled", "runs as modules, and why others stay static")
    return part(FILE, report, table(head, rows))


def _row(row: Row) -> tuple[str, str, str, str]:
    name = f"`{row['network']}`"
    if "refused" in row:
        return name, "refused", "", row["refused"]
    modules = row["modules"]
    blocks = {name.split()[1] for name in modules if name.startswith("block")}
    compiled = row["blocks"] - len(blocks) if row["engine"] == "NativeBackend" else 0
    ends = [name for name in modules if not name.startswith("block")]
    notes = [*ends, *([f"{len(blocks)} blocks"] if blocks else [])]
    notes = [", ".join(notes)] if notes else []
    dynamic = f"{row['dynamic']} of {row['blocks']} blocks"
    return (
        name,
        dynamic,
        f"{compiled} of {row['blocks']} blocks",
        "; ".join([*notes, *row["static"]]),
    )
