"""Models on the Hub by the name of what they are."""

from dyncore.hub._errors import HubError


def models_on_hub(name: str) -> list[str]:
    """Repositories of models that were pushed under this name, the most liked first.

    A card has the model's name among its tags. Raises :class:`HubError` when the Hub refuses, fails
    or cannot be reached.
    """
    from huggingface_hub import HfApi  # late: see find_folder
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    from dyncore.hub._advice import advice

    try:
        found = HfApi().list_models(filter=["dyncore", name], sort="likes", limit=10)
        return [model.id for model in found]
    except (HTTPError, OSError) as error:
        raise HubError(advice(error)) from error
