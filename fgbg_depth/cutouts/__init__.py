"""Cut-outs from photos by a segmentation model: `run.py` makes them, `model.py` runs the network, `matte.py` is the arithmetic."""
