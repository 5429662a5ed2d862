"""Finding images on the Hugging Face Hub."""

from pathlib import Path
from typing import Literal

import datasets
import huggingface_hub
import pyarrow

from dyncore.data._errors import DataFileError
from dyncore.data._found import alone, choose_splits


def tables_on_hub(
    name: str, only: Literal["train", "test"] | None = None
) -> tuple[dict[str, datasets.Dataset], tuple[Path, ...]]:
    """Return the tables of a data set's splits, and the folders where their files may lie.

    The first time they are downloaded. FileNotFoundError if the Hub has no such data set for this
    user or cannot be reached, DataFileError if what it has cannot be read.
    """
    try:
        found = datasets.load_dataset(name)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise FileNotFoundError(
            f"{name!r} is no local folder, and the Hub does not give a data set of that name: "
            f"{error} Check the spelling. If its owner asks for consent, give it on the data "
            "set's page and log in with 'hf auth login'."
        ) from error
    except ConnectionError as error:
        raise FileNotFoundError(
            f"{name!r} is no local folder, and the Hub cannot be reached ({error}). Connect to "
            "the internet once, to download the data set; or give a folder with its parquet "
            "files; or use 'digits', which needs no network."
        ) from error
    except OSError as error:
        raise FileNotFoundError(
            f"{name!r} is no local folder, and the Hub does not give it now ({error}). Try again "
            "in some minutes, or give a folder with its parquet files."
        ) from error
    except (datasets.exceptions.DatasetsError, ValueError, pyarrow.ArrowException) as error:
        raise DataFileError(
            f"{name}: the Hub's files cannot be read ({error.__cause__ or error}); give a folder "
            "with its parquet files"
        ) from error
    tables = alone(choose_splits(found), only)
    if not tables:
        raise DataFileError(
            f"{name}: there is no train, validation or test split, only {', '.join(found)}"
        )
    cache = datasets.config.HF_DATASETS_CACHE, huggingface_hub.constants.HF_HUB_CACHE
    return tables, tuple(map(Path, cache))
