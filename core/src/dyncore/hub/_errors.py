"""What goes wrong with saved models and with the Hub."""


class ModelFileError(ValueError):
    """A saved model that cannot be used; the message names the file and what to do."""


class HubError(OSError):
    """The Hub refuses, fails or cannot be reached; the message says what to do."""
