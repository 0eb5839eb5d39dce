"""The same file by `predict`, by each protocol of `serve`, and by the exported ONNX: the same numbers.

TensorFlow Serving's protocol is spoken by hand, as its page says; the Open Inference Protocol by its stock client.
"""

import base64
import json
import subprocess
import urllib.error
import urllib.request

import numpy as np
import onnxruntime
import pytest
import tritonclient.http
from PIL import Image, ImageOps

from conftest import BINARY, small_backbone

NAME = "colours"
# ONNX Runtime adds in another order
ONNX = 1e-4


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """JPEGs of three colours in several shapes; every third lies on its side and says so."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    for index, colour in enumerate(("red", "green", "blue")):
        (folder / colour).mkdir()
        for number in range(8):
            pixels = random.integers(0, 140, (60 + 7 * number, 90 - 3 * number, 3))
            pixels[..., index] += 80
            exif = Image.Exif()
            if number % 3 == 0:
                exif[0x0112] = 6
            Image.fromarray(pixels.astype("uint8")).save(folder / colour / f"{number}.jpg", exif=exif, quality=90)
    return folder


@pytest.fixture(scope="module")
def run(frostline, photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    # ONNX Runtime rounds what Pillow's kernels average otherwise (docs/onnx.md)
    model = small_backbone(folder, 8, 8)
    frostline.done("train", model, photos, "-o", folder / "run", "--resize", "tf-bilinear")
    return folder / "run"


@pytest.fixture(scope="module")
def server(run):
    process = subprocess.Popen(
        [BINARY, "serve", run, "--addr", "127.0.0.1:0", "--name", NAME], stdout=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().rsplit("http://")[-1].strip()
    yield address
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture(scope="module")
def files(photos):
    return sorted(photos.glob("*/*.jpg"))


@pytest.fixture(scope="module")
def scores(frostline, run, files):
    lines = frostline.done("predict", run, *files, "--json").splitlines()
    return np.array([json.loads(line)["scores"] for line in lines], "float32")


def post(address, path, body, kind="application/json"):
    request = urllib.request.Request(f"http://{address}{path}", body, {"content-type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def equal(found, scores):
    """To the bit."""
    found = np.asarray(found, "float32")
    assert found.tobytes() == scores.tobytes(), np.abs(found - scores).max()


def test_the_scores_differ(scores):
    assert len({row.tobytes() for row in scores}) == len(scores)
    assert np.allclose(scores.sum(1), 1, atol=1e-5)


def test_pictures_as_they_are(server, files, scores):
    found = [post(server, "/predict", file.read_bytes(), "image/jpeg")["predictions"][0]["scores"] for file in files]
    equal(found, scores)


def test_pictures_in_a_form(server, files, scores):
    edge = b"an edge"
    parts = [
        b'--%s\r\ncontent-disposition: form-data; name="image"; filename="%s"\r\n\r\n%s\r\n' % (edge, file.name.encode(), file.read_bytes())
        for file in files
    ]
    body = b"".join(parts) + b"--%s--\r\n" % edge
    found = post(server, "/predict", body, f'multipart/form-data; boundary="{edge.decode()}"')
    assert [one["image"] for one in found["predictions"]] == [file.name for file in files]
    equal([one["scores"] for one in found["predictions"]], scores)


def test_tensorflow_serving(server, files, scores):
    encoded = [{"b64": base64.b64encode(file.read_bytes()).decode()} for file in files]
    predict = f"/v1/models/{NAME}:predict"
    equal(post(server, predict, json.dumps({"instances": encoded}).encode())["predictions"], scores)
    equal(post(server, predict, json.dumps({"inputs": encoded}).encode())["outputs"], scores)
    found = post(server, f"/v1/models/{NAME}:classify", json.dumps({"examples": [{"image": encoded[0]}]}).encode())
    label, score = found["results"][0][0]
    assert label == ["blue", "green", "red"][scores[0].argmax()] and np.float32(score) == scores[0].max()
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(server, "/v1/models/other:predict", b"{}")
    assert refused.value.code == 404 and "error" in json.load(refused.value)


def test_arrays_in_the_models_own_layout(server, run, frostline, tmp_path):
    x = np.random.default_rng(5).integers(0, 256, (6, 32, 32, 3)).astype("float32")
    expected = frostline.outputs(run, x, tmp_path)
    predict = f"/v1/models/{NAME}:predict"
    equal(post(server, predict, json.dumps({"instances": x.tolist()}).encode())["predictions"], expected)
    client = tritonclient.http.InferenceServerClient(server)
    about = client.get_model_metadata(NAME)
    for kind, array in {"FP32": x, "UINT8": x.astype("uint8")}.items():
        tensor = tritonclient.http.InferInput(about["inputs"][0]["name"], array.shape, kind)
        for binary in (True, False):
            tensor.set_data_from_numpy(array, binary_data=binary)
            wanted = tritonclient.http.InferRequestedOutput(about["outputs"][0]["name"], binary_data=binary)
            for outputs in ([wanted], None):
                found = client.infer(NAME, [tensor], outputs=outputs, request_id="7")
                equal(found.as_numpy(about["outputs"][0]["name"]), expected)
                assert found.get_response()["id"] == "7"


def test_the_open_inference_protocol(server, files, scores):
    client = tritonclient.http.InferenceServerClient(server)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, "1") and not client.is_model_ready("other")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    about = client.get_model_metadata(NAME)
    assert about["inputs"][0]["shape"][0] == -1 and about["outputs"][0]["shape"] == [-1, 3]
    encoded = np.array([file.read_bytes() for file in files], dtype=object)
    tensor = tritonclient.http.InferInput(about["inputs"][0]["name"], encoded.shape, "BYTES")
    tensor.set_data_from_numpy(encoded)
    output = about["outputs"][0]["name"]
    equal(client.infer(NAME, [tensor]).as_numpy(output), scores)
    wanted = tritonclient.http.InferRequestedOutput(output, class_count=2)
    found = client.infer(NAME, [tensor], outputs=[wanted]).as_numpy(output)
    score, index, name = found[0][0].decode().split(":")
    assert np.float32(score) == scores[0].max() and int(index) == scores[0].argmax()
    assert name == ["blue", "green", "red"][int(index)] and found.shape == (len(files), 2)
    with pytest.raises(tritonclient.utils.InferenceServerException, match="no input|takes the inputs"):
        tensor = tritonclient.http.InferInput("other", [1], "BYTES")
        tensor.set_data_from_numpy(encoded[:1])
        client.infer(NAME, [tensor])


def test_onnx_with_its_preprocessing(frostline, run, files, scores, tmp_path):
    frostline.done("convert", run, "-o", tmp_path / "run.onnx", "--embed-preprocessing")
    session = onnxruntime.InferenceSession(tmp_path / "run.onnx")
    for file, expected in zip(files, scores, strict=True):
        pixels = np.asarray(ImageOps.exif_transpose(Image.open(file)))[None]
        found = session.run(None, {session.get_inputs()[0].name: pixels})[0][0]
        assert np.abs(found - expected).max() < ONNX, file


def test_none_of_these_is_told_as_predict_tells_it(frostline, photos, files, tmp_path):
    frostline.done("train", small_backbone(tmp_path, 8, 8), photos, "-o", tmp_path / "run", "--reject", "0.05")
    foreign = tmp_path / "foreign.png"
    Image.fromarray(np.indices((40, 40)).sum(0).astype("uint8") % 2 * 255).save(foreign)
    given = [*files, foreign]
    own = [json.loads(line) for line in frostline.done("predict", tmp_path / "run", *given, "--json").splitlines()]
    assert {line["none_of_these"] for line in own} == {True, False}
    process = subprocess.Popen(
        [BINARY, "serve", tmp_path / "run", "--addr", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline().rsplit("http://")[-1].strip()
        for file, line in zip(given, own, strict=True):
            found = post(address, "/predict", file.read_bytes(), "image/*")["predictions"][0]
            told = {key: found[key] for key in ("class", "index", "score", "scores", "none_of_these")}
            assert told == {key: line[key] for key in told}, file
    finally:
        process.terminate()
        process.wait(30)
