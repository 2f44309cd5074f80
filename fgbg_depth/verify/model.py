"""The set's own depth model, to predict its maps anew: found only where it is at hand, used only when its weights are the same."""

from dataclasses import dataclass

import numpy as np

from ..errors import DepthModelError, UsageError
from ..prepare import Options, open_depth

MODELS_FOUND_BY_NAME = ("densedepth-mini", "densedepth-nyu")  # others have to be named: nothing is downloaded unasked


@dataclass(frozen=True)
class ModelChoice:
    """What the user says of the model: its name or folder, where its weights lie, and the torch device; None for the set's own."""

    name: str | None = None
    weights: object = None
    device: str = "cpu"


def find_estimator(basis, choice):
    """Find the depth model that made a set.

    Args:
        basis: Basis.
        choice: ModelChoice.

    Returns:
        (keyword arguments of depth.load_depth_estimator, ""), or (None, why it isn't at hand).

    Raises:
        UsageError, DepthModelError: the model that the user named can't be had, or isn't the set's.
    """
    if not basis.recipe.has_depth:
        return None, "the set has none"
    recipe, given = basis.recipe, choice.name is not None or choice.weights is not None
    if not given and recipe.depth_model not in MODELS_FOUND_BY_NAME:
        return None, f"pass --depth-model with the folder or repo id of {recipe.depth_model}"
    recipe = recipe.replace(depth_model=choice.name or recipe.depth_model)
    options = Options(None, None, depth_weights=choice.weights, device=choice.device)
    try:
        _, _, estimator, arguments = open_depth(recipe, options)
        if estimator.weights_digest != basis.weights:
            raise UsageError(
                f"{estimator.name!r} isn't the model that made this set: its weights have digest "
                f"{estimator.weights_digest[:12]}..., those of the set {basis.weights[:12]}..."
            )
    except (DepthModelError, UsageError) as error:
        if given:
            raise
        return None, str(error)
    return arguments, ""


class Predictor:
    """The depth model, loaded when it is first asked for; `None` arguments mean that there is none."""

    def __init__(self, arguments):
        self._arguments, self._estimator = arguments, None

    @property
    def at_hand(self):
        return self._arguments is not None

    def predict(self, images):
        """(N, S, S) float32 depth of a list of (S, S, 3) uint8 RGB pictures.

        Raises:
            DepthModelError: the network gives no finite numbers.
        """
        if self._estimator is None:
            from ..depth import load_depth_estimator

            self._estimator = load_depth_estimator(**self._arguments)
        return self._estimator.predict(np.stack(images))
