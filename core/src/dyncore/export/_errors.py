"""What stands in the way of an export."""


class ExportError(RuntimeError):
    """A package or tool that an export needs is missing, or the file it made answers wrongly."""
