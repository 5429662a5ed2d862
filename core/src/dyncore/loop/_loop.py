"""The trainer's objective and its evaluation, whose packages are imported when they are asked for.

Who runs trained models has ``dyncore`` without them, and may still import all of its names.
"""

from typing import TYPE_CHECKING, Any

from dyncore.calibration import Batches
from dyncore.cascade import Cascade
from dyncore.data import Preprocessing
from dyncore.network import DynamicNetwork

if TYPE_CHECKING:
    from accelerate import Accelerator

    from dyncore.training import Evaluation, LoopObjective


def objective(
    model: DynamicNetwork,
    budget: float | None = None,
    *,
    recipe: str | None = None,
    size: int | None = None,
    preprocessing: Preprocessing | None = None,
) -> "LoopObjective":
    """The loss of the model's method, for a loop that has its own optimiser and data.

    .. code-block:: python

        objective = dyncore.objective(model, budget=0.6)
        optimizer = torch.optim.SGD([*model.parameters(), *objective.parameters()], lr=0.01)
        for images, labels in loader:
            out = model(images)
            loss = objective(images, labels, out)
            ...  # backward, optimizer.step()
            objective.after_step()

    ``budget`` is the share of the gated MACs that is to run (None: 0.6, or that of ``recipe``); it
    is no part of a static network. ``recipe`` names whose losses and phases are taken, also with
    means behind it; None: the method's own. ``size`` is the images' height and width, and
    ``preprocessing`` what they went through, by default the model's own: parts that look at pixels
    want them as they were, in [0, 1]; where nobody knows, images are taken to be so.

    From now on the model draws its gates' noise by itself in training mode; random numbers are
    torch's. Raises ValueError for a model that names no method, and for a size that is not known.
    """
    made: LoopObjective = _training().objective(
        model, budget, recipe=recipe, size=size, preprocessing=preprocessing
    )
    return made


def evaluate(
    model: DynamicNetwork | Cascade,
    batches: Batches,
    preprocessing: Preprocessing | None = None,
    *,
    accelerator: "Accelerator | None" = None,
) -> "Evaluation":
    """Accuracy, MACs and execution paths of every image, with hard decisions.

    ``batches`` yields (images, labels), as the model takes them, or :class:`dyncore.data.Batch`,
    whose images in [0, 1] are normalised here by ``preprocessing`` (None: the model's own). Rows of
    all processes are gathered, by ``accelerator`` or one that is made here. The model is put into
    evaluation mode and left there. Raises ValueError for batches that are not images and labels,
    and for no images.
    """
    found: Evaluation = _training().evaluate(model, batches, preprocessing, accelerator=accelerator)
    return found


def _training() -> Any:
    try:
        import dyncore.training as training  # late: it needs the extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"training needs {error.name}: pip install 'dyncore[train]'", name=error.name
        ) from error
    return training
