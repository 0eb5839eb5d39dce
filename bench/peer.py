"""A peer's side of `bench/measure.py`: a process that computes when it is told to, as `worker.rs` does.

usage: peer.py keras|onnxruntime|openvino|openvino-bf16 MODEL forward|step BATCH FROZEN
"""

import os
import sys
import time

THREADS = os.cpu_count()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np


def pixels(shape):
    values = (np.arange(np.prod(shape), dtype="int64") * 7919) % 1999
    return (values / 1000.0 - 1.0).astype("float32").reshape(shape)


def keras_work(path, kind, batch, frozen):
    import keras
    import tensorflow as tf

    model = keras.models.load_model(path)
    images = tf.constant(pixels((batch, *model.input_shape[1:])))
    if kind == "forward":
        forward = tf.function(lambda x: model(x, training=False))
        return lambda: forward(images).numpy()
    for layer in model.layers[: int(frozen * len(model.layers))]:
        layer.trainable = False
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    labels = tf.zeros(batch, "int32")
    return lambda: model.train_on_batch(images, labels)


def onnxruntime_work(path, batch):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    images = pixels((batch, *given.shape[1:]))
    return lambda: session.run(None, {given.name: images})


def openvino_work(path, batch, precision):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([batch, *[extent.get_length() for extent in list(model.input(0).partial_shape)[1:]]])
    hints = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": precision}
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    images = pixels(tuple(model.input(0).shape))
    return lambda: request.infer({0: images})


def main(peer, path, kind, batch, frozen):
    batch = int(batch)
    if peer == "keras":
        work = keras_work(path, kind, batch, float(frozen))
    elif peer == "onnxruntime":
        work = onnxruntime_work(path, batch)
    else:
        work = openvino_work(path, batch, "bf16" if peer.endswith("bf16") else "f32")
    work()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            work()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
