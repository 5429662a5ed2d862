"""Methods and models by name."""

from dyncore.registry._method import Method
from dyncore.registry._models import (
    create_model,
    list_methods,
    list_models,
    method_config,
    model_config,
)

__all__ = ["Method", "create_model", "list_methods", "list_models", "method_config", "model_config"]
