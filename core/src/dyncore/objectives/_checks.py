"""What settings of objectives may be."""


def check_fraction(name: str, value: float) -> None:
    """Raises ValueError for what is not in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be in [0, 1], not {value}")


def check_weight(name: str, value: float) -> None:
    """Raises ValueError for negative, infinite and NaN."""
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be finite and not negative, not {value}")


def check_temperature(value: float) -> None:
    """Raises ValueError for what logits cannot be divided by."""
    if not 0 < value < float("inf"):
        raise ValueError(f"temperature must be positive, not {value}")
