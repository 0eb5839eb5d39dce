//! `serve` over the loopback, as its clients meet it.

mod client;

use crate::explain::yellow;
use crate::files::pictures;
use crate::run::{Folder, command, demo_model, works};
use client::{Answer, Server, form, request};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A folder with two pictures, and their bytes.
fn photos() -> (Folder, [Vec<u8>; 2]) {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 2, 20);
    let bytes = |name: &str| std::fs::read(folder.path("photos/dark").join(name)).expect("a picture");
    let both = [bytes("0.png"), bytes("1.png")];
    (folder, both)
}

/// What `predict --json` says of the two.
fn predicted(folder: &Folder) -> Vec<Value> {
    let found = works(&["predict", &demo_model(), &folder.text("photos"), "--json"]).stdout;
    found.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_picture_is_predicted_as_predict_does() {
    let (folder, [one, other]) = photos();
    let own = predicted(&folder);
    let server = Server::start(&demo_model(), &[]);
    let raw = server.post("/predict", "image/png", &one).json();
    assert_eq!(raw["model"], "my_model_A");
    assert_eq!(raw["predictions"][0]["scores"], own[0]["scores"]);
    assert_eq!(raw["predictions"][0]["class"], own[0]["class"]);
    let (kind, body) = form(&[("one.png", &one), ("other.png", &other)]);
    let both = server.post("/predict", &kind, &body).json();
    for (index, name) in ["one.png", "other.png"].into_iter().enumerate() {
        assert_eq!(both["predictions"][index]["image"], name);
        assert_eq!(both["predictions"][index]["scores"], own[index]["scores"]);
    }
    let (kind, body) = form(&[("one.png", &one), ("bad.png", b"\x89PNG\r\n\x1a\nno")]);
    let mixed = server.post("/predict", &kind, &body).json();
    assert_eq!(mixed["predictions"][0]["scores"], own[0]["scores"]);
    assert!(mixed["predictions"][1]["error"].as_str().expect("an error").contains("bad.png"));
}

#[test]
fn a_heat_map_lies_where_explain_puts_it() {
    let (_folder, model, photo) = crate::explain::folder();
    let photo = std::fs::read(photo).expect("the photo");
    let server = Server::start(&model, &["--preprocess", "none"]);
    let map = |path: &str| {
        let answer = server.post(path, "image/png", &photo);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("image/png")),
            "{}",
            answer.text()
        );
        let map = frostline::data::decode(&answer.body, "map").expect("a picture");
        assert_eq!((map.height, map.width), (40, 64));
        map
    };
    // half of the picture shows through; red is on the left, and the class 0
    let (left, right) = ([2, 2, 38, 16], [2, 26, 28, 62]);
    let own = map("/explain");
    assert!(yellow(&own, left) > yellow(&own, right) + 50.0);
    assert_eq!(own.pixels, map("/explain?class=0").pixels);
    assert_ne!(own.pixels, map("/explain?class=1").pixels);
    for (path, body, status, word) in [
        ("/explain?class=2", photo.as_slice(), 422, "no class 2"),
        ("/explain?class=red", &photo, 400, "names no class"),
        ("/explain", b"a letter", 422, "no picture"),
    ] {
        let answer = server.post(path, "image/png", body);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(word), "{}", answer.text());
    }
}

#[test]
fn what_is_wrong_is_said_by_status_and_json() {
    let (_folder, [one, _]) = photos();
    let server = Server::start(
        &demo_model(),
        &["--max-body", "20000", "--max-batch", "2", "--max-pixels", "1000", "--timeout", "2s"],
    );
    let refused = |answer: Answer, status: u16, word: &str| {
        assert_eq!(answer.status, status, "{}", answer.text());
        let error = answer.json()["error"].as_str().expect("an error").to_owned();
        assert!(error.contains(word), "no {word} in {error}");
    };
    refused(server.post("/predict", "image/png", b""), 400, "empty");
    refused(server.post("/predict", "image/png", b"a letter"), 422, "no picture");
    refused(server.post("/predict", "multipart/form-data; boundary=x", b"nothing"), 400, "form");
    refused(server.post("/predict", "image/png", &[0; 20001]), 413, "--max-body");
    let (kind, body) = form(&[("a", &one), ("b", &one), ("c", &one)]);
    refused(server.post("/predict", &kind, &body), 413, "--max-batch");
    let mut large = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(40, 40).write_to(&mut large, image::ImageFormat::Png).expect("a picture");
    refused(server.post("/predict", "image/png", large.get_ref()), 413, "--max-pixels");
    refused(server.get("/nothing"), 404, "openapi");
    refused(server.get("/predict"), 405, "method");
    refused(server.get("/v1/models/other"), 404, "Servable not found for request: Latest(other)");
    refused(server.get("/v2/models/my_model_A/versions/7"), 404, "Specific(my_model_A, 7)");
    refused(server.post("/v1/models/my_model_A:predict", "application/json", b"{"), 400, "JSON Parse error");
    refused(server.post("/v1/models/my_model_A:regress", "application/json", b"{}"), 400, "regress");
    for body in [
        json!({}),
        json!({ "instances": [[1, 2], [3]] }),
        json!({ "instances": [[[1, 2], [3, 4]]] }),
        json!({ "instances": [{ "b64": "?" }] }),
        json!({ "instances": [], "inputs": [] }),
        json!({ "instances": [] }),
        json!({ "instances": [{ "nothing": [1] }] }),
    ] {
        let answer =
            server.post("/v1/models/my_model_A:predict", "application/json", body.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.json()["error"].is_string());
    }
    // a body that does not come
    let began = Instant::now();
    let mut slow = TcpStream::connect(server.address()).expect("a connection");
    slow.write_all(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").expect("written");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("did not arrive in 2s"), "{answer}");
    // a head that does not come
    let mut slow = TcpStream::connect(server.address()).expect("a connection");
    slow.write_all(b"GET / HT").expect("written");
    slow.read_to_string(&mut String::new()).expect("an end");
    assert!(began.elapsed() < Duration::from_secs(20));
    // and it still answers
    assert_eq!(server.get("/healthz").text(), "ok\n");
}

#[test]
fn tensorflow_serving_is_spoken() {
    use base64::Engine;
    let (folder, [one, other]) = photos();
    let own = predicted(&folder);
    let server = Server::start(&demo_model(), &["--name", "half"]);
    let status = server.get("/v1/models/half").json();
    let available = json!({ "version": "1", "state": "AVAILABLE", "status": { "error_code": "OK", "error_message": "" } });
    assert_eq!(status, json!({ "model_version_status": [available] }));
    assert_eq!(server.get("/v1/models/half/versions/1").json(), status);
    let metadata = server.get("/v1/models/half/metadata").json();
    let signature = &metadata["metadata"]["signature_def"]["signature_def"]["serving_default"];
    let (input, inputs) =
        signature["inputs"].as_object().and_then(|map| map.iter().next()).expect("an input");
    assert_eq!(inputs["dtype"], "DT_FLOAT");
    let extents: Vec<&Value> = inputs["tensor_shape"]["dim"]
        .as_array()
        .expect("extents")
        .iter()
        .map(|extent| &extent["size"])
        .collect();
    assert_eq!(extents, ["-1", "28", "28", "1"]);
    let ask = |verb: &str, body: Value| {
        server.post(&format!("/v1/models/half{verb}"), "application/json", body.to_string().as_bytes()).json()
    };
    let b64 = |bytes: &[u8]| json!({ "b64": base64::engine::general_purpose::STANDARD.encode(bytes) });
    let both = json!([own[0]["scores"], own[1]["scores"]]);
    for instances in [json!([b64(&one), b64(&other)]), json!([{ input: b64(&one) }, { input: b64(&other) }])]
    {
        assert_eq!(ask(":predict", json!({ "instances": instances })), json!({ "predictions": both }));
        assert_eq!(
            ask("/versions/1:predict", json!({ "inputs": { input: [b64(&one), b64(&other)] } })),
            json!({ "outputs": both })
        );
    }
    let classes = ask(":classify", json!({ "examples": [{ "image": b64(&one) }] }));
    let first = &classes["results"][0];
    assert_eq!(first[0], json!([own[0]["class"], own[0]["score"]]));
    assert_eq!(first.as_array().map(Vec::len), own[0]["scores"].as_array().map(Vec::len));
    // arrays in the model's own layout, as `predict` takes them
    let values: Vec<f32> = (0..2 * 28 * 28).map(|index| (index % 255) as f32 / 255.0).collect();
    std::fs::write(folder.path("batch.npy"), crate::files::floats(&[2, 28, 28, 1], &values))
        .expect("written");
    let lines = works(&["predict", &demo_model(), &folder.text("batch.npy"), "--json"]).stdout;
    let scores: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["scores"].clone())
        .collect();
    let image = |image: &[f32]| -> Vec<Vec<[f32; 1]>> {
        image.chunks(28).map(|row| row.iter().map(|value| [*value]).collect()).collect()
    };
    let rows: Vec<Vec<Vec<[f32; 1]>>> = values.chunks(28 * 28).map(image).collect();
    assert_eq!(ask(":predict", json!({ "instances": rows })), json!({ "predictions": scores }));
    assert_eq!(ask(":predict", json!({ "inputs": rows })), json!({ "outputs": scores }));
    // the model was trained on 0 to 255
    let body = json!({ "instances": rows }).to_string();
    let answer = server.post("/v1/models/half:predict", "application/json", body.as_bytes());
    assert!(answer.header("x-frostline-warning").is_some_and(|said| said.contains("[0, 255]")));
    let named: Vec<Value> = rows.iter().map(|row| json!({ input: row })).collect();
    assert_eq!(
        ask(":predict", json!({ "signature_name": "serving_default", "instances": named })),
        json!({ "predictions": scores })
    );
}

#[test]
fn the_open_inference_protocol_is_spoken() {
    let (folder, [one, other]) = photos();
    let own = predicted(&folder);
    let server = Server::start(&demo_model(), &["--name", "m"]);
    assert_eq!(server.get("/v2").json()["extensions"][0], "binary_tensor_data");
    for path in ["/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/v2/models/m/versions/1/ready"]
    {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let about = server.get("/v2/models/m").json();
    assert_eq!(about["inputs"][0]["shape"], json!([-1, 28, 28, 1]));
    let (input, output) = (about["inputs"][0]["name"].clone(), about["outputs"][0]["name"].clone());
    let values: Vec<f32> = (0..28 * 28).map(|index| (index % 255) as f32 / 255.0).collect();
    std::fs::write(folder.path("batch.npy"), crate::files::floats(&[1, 28, 28, 1], &values))
        .expect("written");
    let line = works(&["predict", &demo_model(), &folder.text("batch.npy"), "--json"]).stdout;
    let scores = serde_json::from_str::<Value>(&line).expect("JSON")["scores"].clone();
    let tensor = json!({ "name": input, "shape": [1, 28, 28, 1], "datatype": "FP32", "data": values });
    let asked = json!({ "id": "7", "inputs": [tensor] });
    let found = server.post("/v2/models/m/infer", "application/json", asked.to_string().as_bytes()).json();
    assert_eq!((&found["id"], &found["model_version"]), (&json!("7"), &json!("1")));
    assert_eq!(found["outputs"][0]["data"], scores);
    // bytes there and back
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tensor = json!({ "name": input, "shape": [1, 28, 28, 1], "datatype": "FP32", "parameters": { "binary_data_size": bytes.len() } });
    let wanted = json!([{ "name": output, "parameters": { "binary_data": true } }]);
    let found = server.infer("/v2/models/m/infer", &json!({ "inputs": [tensor], "outputs": wanted }), &bytes);
    let (head, behind) = found.split();
    assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], behind.len());
    let numbers: Vec<f32> = behind.as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect();
    let printed = |value: &Value| value.as_f64().expect("a number") as f32;
    assert_eq!(numbers, scores.as_array().expect("scores").iter().map(printed).collect::<Vec<_>>());
    // encoded pictures, and their classes
    let mut encoded = Vec::new();
    for picture in [&one, &other] {
        encoded.extend((picture.len() as u32).to_le_bytes());
        encoded.extend(picture);
    }
    let tensor = json!({ "name": input, "shape": [2, 1], "datatype": "BYTES", "parameters": { "binary_data_size": encoded.len() } });
    let found = server.infer("/v2/models/m/infer", &json!({ "inputs": [tensor] }), &encoded).json();
    let both =
        [own[0]["scores"].as_array(), own[1]["scores"].as_array()].map(|row| row.expect("scores").clone());
    assert_eq!(found["outputs"][0]["data"], json!(both.concat()));
    assert_eq!(found["outputs"][0]["shape"], json!([2, both[0].len()]));
    let wanted = json!([{ "name": output, "parameters": { "classification": 1 } }]);
    let found = server
        .infer("/v2/models/m/infer", &json!({ "inputs": [tensor], "outputs": wanted }), &encoded)
        .json();
    let likeliest = found["outputs"][0]["data"][0].as_str().expect("a class");
    assert!(likeliest.ends_with(&format!(
        ":{}:{}",
        own[0]["index"],
        own[0]["class"].as_str().expect("a class")
    )));
    for (tensor, word) in [
        (
            json!({ "name": "other", "shape": [1, 28, 28, 1], "datatype": "FP32", "data": values }),
            "takes the inputs",
        ),
        (
            json!({ "name": input, "shape": [2, 28, 28, 1], "datatype": "FP32", "data": values }),
            "784 elements",
        ),
        (json!({ "name": input, "shape": [1, 28, 28, 1], "datatype": "FP32" }), "neither"),
        (json!({ "name": input, "shape": [1, 28, 28, 1], "datatype": "INT64", "data": values }), "INT64"),
        (json!({ "name": input, "shape": [1, 784], "datatype": "FP32", "data": values }), "[-1, 28, 28, 1]"),
        (
            json!({ "name": input, "shape": [1, 28, 28, 1], "datatype": "FP32", "parameters": { "binary_data_size": 9 } }),
            "claims 9 bytes",
        ),
    ] {
        let answer = server.infer("/v2/models/m/infer", &json!({ "inputs": [tensor] }), b"");
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(word), "no {word} in {}", answer.text());
    }
}

#[test]
fn a_token_is_asked_for() {
    let server = Server::start(&demo_model(), &["--token", "secret"]);
    for path in ["/healthz", "/", "/v2/health/ready"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in ["/info", "/metrics", "/v1/models/my_model_A", "/openapi.json"] {
        assert_eq!(server.get(path).status, 401, "{path}");
        let with =
            |token: &str| request(server.address(), "GET", path, &[("authorization", token)], b"").status;
        assert_eq!((with("Bearer secret"), with("Bearer other"), with("secret")), (200, 401, 401), "{path}");
    }
}

#[test]
fn the_page_loads_nothing_and_may_load_nothing() {
    let server = Server::start(&demo_model(), &[]);
    let page = server.get("/");
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let text = page.text();
    for word in ["http:", "https:", "//cdn", "innerHTML", "src=\"", "@import", "url("] {
        assert!(!text.contains(word), "the page holds {word}");
    }
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..2]), Some("3."));
    for path in ["/predict", "/v1/models/{name}:predict", "/v2/models/{name}/infer", "/metrics"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}

#[test]
fn many_clients_are_answered_in_batches_and_counted() {
    let (folder, [one, other]) = photos();
    let own = predicted(&folder);
    let server = Server::start(&demo_model(), &[]);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (picture, scores) = [(&one, &own[0]["scores"]), (&other, &own[1]["scores"])][client % 2];
            let server = &server;
            scope.spawn(move || {
                for _ in 0..10 {
                    let found = server.post("/predict", "image/png", picture).json();
                    assert_eq!(&found["predictions"][0]["scores"], scores);
                }
            });
        }
    });
    let metrics = server.get("/metrics").text();
    for line in [
        r#"frostline_requests_total{method="POST",path="/predict",status="200"} 80"#,
        r#"frostline_images_total{outcome="predicted"} 80"#,
        "frostline_batch_images_sum 80",
        r#"frostline_request_seconds_count{path="/predict"} 80"#,
    ] {
        assert!(metrics.contains(line), "no {line} in\n{metrics}");
    }
}

#[test]
fn connections_beyond_the_limit_are_turned_away() {
    let server = Server::start(&demo_model(), &["--connections", "1"]);
    let mut held = TcpStream::connect(server.address()).expect("a connection");
    held.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("written");
    let mut first = [0; 12];
    held.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    let answer = server.get("/healthz");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    drop(held);
    let began = Instant::now();
    while server.get("/healthz").status != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "the place was not given back");
    }
}

#[cfg(unix)]
#[test]
fn it_ends_in_order_when_it_is_told_to() {
    for signal in ["-TERM", "-INT"] {
        let (_folder, [one, _]) = photos();
        let mut server = Server::start(&demo_model(), &[]);
        // a request that has begun
        let mut begun = TcpStream::connect(server.address()).expect("a connection");
        let head = format!(
            "POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            one.len()
        );
        begun.write_all(head.as_bytes()).expect("written");
        begun.write_all(&one[..10]).expect("written");
        std::thread::sleep(Duration::from_millis(300));
        server.signal(signal);
        std::thread::sleep(Duration::from_millis(300));
        begun.write_all(&one[10..]).expect("written");
        let mut answer = String::new();
        begun.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("scores"), "{answer}");
        assert_eq!(server.end(), Some(0), "{signal}");
    }
}

#[test]
fn what_cannot_be_served_is_said_at_once() {
    let server = Server::start(&demo_model(), &[]);
    let taken = server.address().to_string();
    crate::run::fails(&["serve", &demo_model(), "--addr", &taken], &["cannot listen at", &taken]);
    let output = command(&["serve", &demo_model(), "--addr", "nowhere"]).output().expect("a process");
    assert_eq!(output.status.code(), Some(2));
}
