"""A peer's side of `bench/measure.py`: a process that computes when it is told to, as `worker.rs` does.

usage: peer.py keras|onnxruntime|openvino|openvino-bf16|pytorch MODEL forward|step BATCH FROZEN

PyTorch computes torchvision's architecture of the model file's name, with random weights, and reads no file.
"""

import os
import pathlib
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


def pytorch_work(path, kind, batch, frozen):
    import torch
    import torchvision

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = torchvision.models.get_model(pathlib.Path(path).stem, weights=None, num_classes=10)
    model = model.to(memory_format=torch.channels_last)
    images = torch.from_numpy(pixels((batch, 224, 224, 3))).permute(0, 3, 1, 2)  # so the memory is channels last
    if kind == "forward":
        with torch.inference_mode():
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model.eval(), images)))

        @torch.inference_mode()
        def forward():
            return model(images).numpy()

        for _ in range(3):  # TorchScript profiles and rewrites in its first runs
            forward()
        return forward
    model.train()
    layers = [module for module in model.modules() if not list(module.children())]
    for layer in layers[: int(frozen * len(layers))]:
        layer.requires_grad_(False).eval()  # so frozen batch normalization uses its moving statistics, as in Keras
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], 1e-3)
    labels = torch.zeros(batch, dtype=torch.int64)

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main(peer, path, kind, batch, frozen):
    batch = int(batch)
    if peer == "keras":
        work = keras_work(path, kind, batch, float(frozen))
    elif peer == "onnxruntime":
        work = onnxruntime_work(path, batch)
    elif peer == "pytorch":
        work = pytorch_work(path, kind, batch, float(frozen))
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
