"""How far a depth model's maps are off, as far as that was measured: numbers with their source, or that they aren't known. Pure."""

from ..depth.locate import MINI, NYU
from ..imported import MODEL_NAME as IMPORTED

# Metres, on 188 views of 47 rendered rooms that it never saw: its own model card, "Measured error".
MINI_ERROR = {"delta1": 0.740, "abs_rel": 0.176, "rmse_m": 0.513, "log10": 0.071}
MINI_WEIGHTS = "a3bcfc1b0045fa066fce4b9d3c71dd181ce734aef664f4daf30ca69bec7678f8"  # digest of the weights that these numbers are of
# Metres, on the 654 test pictures of NYU Depth v2 at 640 x 480: Alhashim and Wonka 2018 (arXiv 1812.11941), table 1, "Ours".
NYU_ERROR = {"delta1": 0.846, "abs_rel": 0.123, "rmse_m": 0.465, "log10": 0.053}
NYU_INPUT = (480, 640)  # height, width [pixels]
CITATION = (
    "The depth network: Ibraheem Alhashim and Peter Wonka, High Quality Monocular Depth Estimation via Transfer Learning, "
    "arXiv 1812.11941, 2018"
)


def error_words(depth):
    """What is known of the error of a set's depth model: some plain sentences.

    Args:
        depth: what the manifest says of the model.
    """
    name = depth["name"]
    if name == IMPORTED:
        return (
            "The depth maps came with rows that were imported. They are pseudo-labels, not ground truth; what made them isn't known here, "
            "nor its error."
        )
    start = f"The depth maps are pseudo-labels of {name}, not ground truth."
    if name == MINI and depth.get("weights_digest") == MINI_WEIGHTS:
        return (
            f"{start} Measured on 188 views of 47 rendered rooms that it never saw: {_numbers(MINI_ERROR)}. Its error on photographs and "
            f"on pasted pictures such as these wasn't measured, as their true depth isn't known; it may well be larger."
        )
    if name == NYU:
        size = tuple(depth.get("input_size") or NYU_INPUT)
        seen = "" if size == NYU_INPUT else f" Here the network sees {size[1]} x {size[0]} pixels, at which its maps are coarse."
        return (
            f"{start} Its authors report for their weights, on the test pictures of NYU Depth v2 at 640 x 480: {_numbers(NYU_ERROR)}.{seen}"
            f" Whether the weights used here are theirs, and their error on pasted pictures, wasn't measured."
        )
    return f"{start} Its error isn't known here: nobody measured it on these pictures, as their true depth isn't known."


def _numbers(error):
    return (
        f"delta1 {error['delta1']:.3f} (so much of the pixels is within a factor of 1.25), mean relative error {error['abs_rel']:.3f}, "
        f"RMSE {error['rmse_m']:.3f} m, log10 error {error['log10']:.3f}"
    )
