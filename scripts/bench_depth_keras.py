"""The original way, for `bench_depth.py`: tf-keras `predict`, one picture at a time. Runs in an environment with tensorflow and tf-keras.

    python scripts/bench_depth_keras.py WEIGHTS.h5 PICTURES.npy THREADS RAW.npy

Reads the pictures ((N, H, W, 3) float32 RGB in [0, 1]), writes the raw output to RAW.npy and "ready" to the standard output. Then for
each line "COUNT" on the standard input it predicts so many pictures, one by one, and answers with the seconds on the clock and of the
processor.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras


class BilinearUpSampling2D(tf_keras.layers.Layer):
    """Twice as large, bilinear with aligned corners: the layer that the file names and doesn't hold."""

    def __init__(self, size=(2, 2), data_format=None, **settings):
        super().__init__(**settings)
        self._size = size

    def call(self, x):
        shape = tf.shape(x)
        size = (shape[1] * self._size[0], shape[2] * self._size[1])
        return tf.compat.v1.image.resize_bilinear(x, size, align_corners=True)

    def compute_output_shape(self, shape):
        height, width = (None if side is None else side * factor for side, factor in zip(shape[1:3], self._size, strict=True))
        return shape[0], height, width, shape[3]


def main():
    weights, pictures, threads, raw = sys.argv[1:]
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    tf.get_logger().setLevel("ERROR")
    model = tf_keras.models.load_model(weights, custom_objects={"BilinearUpSampling2D": BilinearUpSampling2D}, compile=False)
    images = np.load(pictures)
    np.save(raw, np.concatenate([model.predict(image[None], verbose=0) for image in images])[..., 0])
    print("ready", flush=True)
    for line in sys.stdin:
        started, spent = time.perf_counter(), time.process_time()
        for index in range(int(line)):
            model.predict(images[index % len(images)][None], verbose=0)
        print(time.perf_counter() - started, time.process_time() - spent, flush=True)


if __name__ == "__main__":
    main()
