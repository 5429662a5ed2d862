"""Finding images on the Hugging Face Hub."""

import datasets

from dyncore.data._found import choose_splits


def tables_on_hub(name: str) -> dict[str, datasets.Dataset]:
    """Return the tables of a data set's splits; the first time they are downloaded.

    FileNotFoundError if the Hub has no such data set for this user or cannot be reached.
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
    tables = choose_splits(found)
    if not tables:
        raise ValueError(
            f"{name}: there is no train, validation or test split, only {', '.join(found)}"
        )
    return tables
