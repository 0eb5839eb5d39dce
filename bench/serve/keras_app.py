"""The same model behind FastAPI, as its users write it: decode with Pillow, resize as TensorFlow does, call a traced function.

usage: MODEL=model.keras uvicorn keras_app:app
"""

import io
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from fastapi import Body, FastAPI
from PIL import Image, ImageOps

model = keras.models.load_model(os.environ["MODEL"])
height, width = model.input_shape[1:3]
app = FastAPI()


@tf.function(input_signature=[tf.TensorSpec((None, height, width, 3), tf.float32)])
def call(batch):
    return model(batch, training=False)


@app.post("/predict")
def predict(image: bytes = Body(media_type="image/jpeg")):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
    pixels = tf.image.resize(np.asarray(picture), (height, width))[None]
    return {"scores": call(pixels)[0].numpy().tolist()}
