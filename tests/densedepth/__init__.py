"""Helpers and golden numbers for the tests of DenseDepth.

- `h5_layout.json.gz`: layers and weights of the published Keras file, in file order: [[layer, [[weight,
shape]]]]. - `model_config_*.json.gz`: its graph as Keras 2.2.4 writes it (`nyu`), the same with LeakyReLU
after convA too
  (`convA_leaky`), and `nyu` as tf-keras 2.21 writes it (`tfkeras`).
- `golden_random.npz`: two random pictures and the raw output of tf-keras 2.21 for the reference weights, seed
0.
"""
