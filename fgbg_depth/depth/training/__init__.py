"""Training and measuring of the small embedded depth network: rooms, cut-outs, losses, metrics and the loop.

Nothing here is needed to predict depth. `scripts/train_mini.py` and `scripts/eval_depth.py` are the entries.
"""
