"""What goes wrong with data of strangers."""


class DataFileError(ValueError):
    """Data that cannot be used; the message names the file or row and says what to do."""
