"""One run of a campaign: what ``dyn reproduce`` starts, ``python -m dyncore.campaigns JOB``."""

import json
import sys
from pathlib import Path

from dyncore.campaigns._campaign import Campaign
from dyncore.campaigns._perform import perform
from dyncore.campaigns._sitting import claimed
from dyncore.campaigns._workplace import Workplace
from dyncore.training import TrainingStopped

BUSY = 75
"""Exit status where another process has the run's folder (``EX_TEMPFAIL``)."""


def main(job: str) -> None:
    """``job`` is the JSON that :class:`dyncore.campaigns.Work` writes."""
    given = json.loads(job)
    file = Path(given["file"])
    campaign = Campaign.load(file)
    place = Workplace(
        file=file,
        campaign=campaign,
        data=given["data"],
        output=Path(given["output"]),
        results=Path(given["results"]),
        models=given["models"],
    )
    run = next(run for run in campaign.runs if run.name == given["run"])
    with claimed(place.folder(run)) as free:
        if not free:
            sys.exit(BUSY)
        try:
            perform(place, run)
        except TrainingStopped as stop:
            sys.exit(128 + stop.signal)


if __name__ == "__main__":
    main(sys.argv[1])
