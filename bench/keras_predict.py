"""The first prediction of a fresh process in Keras.

usage: keras_predict.py MODEL.keras IMAGE
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras

model = keras.models.load_model(sys.argv[1])
image = keras.utils.img_to_array(keras.utils.load_img(sys.argv[2], target_size=model.input_shape[1:3]))
print(model.predict(image[None] / 127.5 - 1.0, verbose=0).argmax())
