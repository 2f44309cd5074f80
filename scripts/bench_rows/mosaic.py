"""Import mosaicml-streaming beside a torch for CPUs.

It imports torchvision, whose wheels of the package index are built for CUDA. Beside a CPU build of torch their library of
operators doesn't load, and then the import of torchvision fails at the first operator that it wants to annotate. None is
used here, so those that it asks for are declared, without an implementation, and all the rest imports.
"""

OPERATORS = ("torchvision::nms", "torchvision::qnms")
SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_streaming():
    """The module `streaming`."""
    import torch

    try:
        import torchvision  # noqa: F401 - only to see whether it can be imported
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in OPERATORS:
            torch.library.define(name, SIGNATURE)
    import streaming

    return streaming
