"""What to do when the Hub says no."""

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of the Hub's client; None: there was no answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError):
            return int(cause.response.status_code)
        cause = cause.__cause__
    return None


def advice(error: BaseException, token: str | None = None) -> str:
    """What the user can do about it, and what the client said, who was given ``token``."""
    status = status_of(error)
    if status == 401:
        what = "log in with 'hf auth login', or set HF_TOKEN to a valid token"
    elif status == 403:
        what = (
            "the token may not do this: use one with that right (hf.co/settings/tokens); if the "
            "model is gated, ask for access on its page"
        )
    elif status == 404:
        what = "check the spelling; if it is private, log in with 'hf auth login'"
    elif status == 429:
        what = f"too many requests: try again {_wait(error)}; who is logged in may ask more often"
    elif status is not None and status >= 500:
        what = f"the Hub has a problem (HTTP {status}): try again in some minutes"
    elif status is not None:
        what = f"the Hub does not take it (HTTP {status})"
    else:
        what = "check the connection, HF_ENDPOINT and HF_HUB_OFFLINE"
    return f"{what}. The Hub's client says: {client_message(error, token)}"


def client_message(error: BaseException, token: str | None = None) -> str:
    """The first line of the client's message, without the token it was given or has."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    text = lines[0].strip() if lines else type(error).__name__
    for secret in (token, huggingface_hub.get_token()):
        text = text.replace(secret, "<token>") if secret else text
    return text


def _wait(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__
    seconds = cause.response.headers.get("Retry-After", "") if cause is not None else ""
    return f"in {seconds} seconds" if seconds.isdigit() else "in some minutes"
