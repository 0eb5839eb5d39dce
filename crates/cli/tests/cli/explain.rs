//! Heat maps over photos.

#[path = "../../../../tests/rust/colours.rs"]
mod colours;

use crate::run::{Folder, fails, golden, json, works};
use colours::{model, picture};
use frostline::data::{Image, Pixels, decode_file};
use frostline::prelude::*;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use std::path::Path;

fn bytes(image: &Image) -> Vec<u8> {
    match &image.pixels {
        Pixels::U8(bytes) => bytes.clone(),
        Pixels::F32(_) => panic!("bytes"),
    }
}

fn save(image: &Image, path: &Path) {
    let picture =
        RgbImage::from_raw(image.width as u32, image.height as u32, bytes(image)).expect("a picture");
    picture.save(path).expect("written");
}

/// A folder with the model and a photo that is red on the left and blue at the lower right.
pub(crate) fn folder() -> (Folder, String, String) {
    let folder = Folder::new();
    let (file, photo) = (folder.text("colours.keras"), folder.text("photo.png"));
    model().save(&file).expect("saved");
    save(&picture(40, 64, [0, 0, 40, 20], [30, 40, 40, 64]), Path::new(&photo));
    (folder, file, photo)
}

/// How yellow a field is: colours of high values have more green than those of low ones, and less blue.
pub(crate) fn yellow(image: &Image, [top, left, bottom, right]: [usize; 4]) -> f64 {
    let pixels = bytes(image);
    let places = (top..bottom).flat_map(|y| (left..right).map(move |x| 3 * (y * image.width + x)));
    let values: Vec<f64> = places.map(|at| f64::from(pixels[at + 1]) - f64::from(pixels[at + 2])).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn a_map_lies_over_the_photo_at_its_own_size() {
    let (folder, model, photo) = folder();
    let out = folder.text("map.png");
    let told = json(&["explain", &model, &photo, "-o", &out, "--preprocess", "none", "--opacity", "1"]);
    assert_eq!((&told["index"], &told["layer"], &told["of"]), (&0.into(), &"conv2d".into(), &"logit".into()));
    assert_eq!(
        (&told["grid"], told["map"].as_array().map(Vec::len)),
        (&serde_json::json!([16, 16]), Some(16))
    );
    let map = decode_file(Path::new(&out)).expect("a PNG");
    assert_eq!((map.height, map.width), (40, 64));
    assert!(yellow(&map, [2, 2, 38, 16]) > 100.0 && yellow(&map, [2, 26, 38, 62]) < 0.0);
    // the other class, which has no name, by its number
    let told = json(&[
        "explain",
        &model,
        &photo,
        "-o",
        &out,
        "--preprocess",
        "none",
        "--opacity",
        "1",
        "--class",
        "1",
    ]);
    let map = decode_file(Path::new(&out)).expect("a PNG");
    assert_eq!(told["index"], 1);
    assert!(yellow(&map, [34, 46, 40, 62]) > 100.0 && yellow(&map, [2, 2, 38, 36]) < 0.0);
    let ran = works(&["explain", &model, &photo, "-o", &out, "--preprocess", "none"]);
    assert!(
        ran.stdout.contains("photo.png: 0 0.") && ran.stdout.contains("by `conv2d` (16 x 16)"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_photo_that_lies_on_its_side_is_turned_with_its_map() {
    let (folder, model, _) = folder();
    // as the camera holds it: red above; its EXIF says that the top is on the right
    let lying = picture(40, 64, [0, 0, 12, 64], [0, 0, 0, 0]);
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 100);
    let orientation = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    encoder.set_exif_metadata(orientation).expect("JPEG holds EXIF");
    encoder.write_image(&bytes(&lying), 64, 40, ExtendedColorType::Rgb8).expect("a JPEG");
    std::fs::write(folder.path("phone.jpg"), file).expect("written");
    let out = folder.text("map.png");
    let photo = folder.text("phone.jpg");
    works(&["explain", &model, &photo, "-o", &out, "--preprocess", "none", "--opacity", "1", "--class", "0"]);
    let map = decode_file(Path::new(&out)).expect("a PNG");
    assert_eq!((map.height, map.width), (64, 40));
    assert!(yellow(&map, [4, 32, 60, 39]) > 100.0 && yellow(&map, [4, 2, 60, 22]) < 0.0);
}

#[test]
fn several_photos_go_into_a_folder() {
    let (folder, model, photo) = folder();
    std::fs::create_dir(folder.path("more")).expect("a folder");
    std::fs::copy(&photo, folder.path("more/photo.png")).expect("copied");
    std::fs::write(folder.path("more/broken.png"), b"\x89PNG\r\n\x1a\n").expect("written");
    let (more, maps) = (folder.text("more"), folder.text("maps"));
    let ran = crate::run::frostline(&["explain", &model, &photo, &more, "-o", &maps, "--preprocess", "none"]);
    // what can be read is explained, and what cannot is told
    assert_eq!((ran.status, ran.stdout.lines().count()), (Some(1), 2), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("broken.png") && ran.stderr.contains("1 images could not be read"),
        "{}",
        ran.stderr
    );
    let mut names: Vec<String> = std::fs::read_dir(folder.path("maps"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["photo.png", "photo_2.png"]);
    let one = folder.text("one.png");
    fails(&["explain", &model, &photo, &photo, "-o", &one, "--preprocess", "none"], &["one.png", "2 images"]);
}

#[test]
fn what_cannot_be_explained_says_why() {
    let (folder, model, photo) = folder();
    let out = folder.text("map.png");
    let explain = |flags: &[&str], words: &[&str]| {
        let all = [&["explain", &model, &photo, "-o", &out, "--preprocess", "none"], flags].concat();
        fails(&all, words);
        assert!(!folder.path("map.png").exists());
    };
    explain(&["--class", "zebra"], &["`zebra` is no class"]);
    explain(&["--class", "7"], &["no class 7"]);
    explain(&["--layer", "conf2d"], &["conf2d", "did you mean `conv2d`"]);
    explain(&["--layer", "global_average_pooling2d"], &["without places in the image", "colours.keras"]);
    explain(&["--layer", "dense"], &["colours.keras"]);
    // a network on rows of numbers
    let dense = golden("keras/dense.keras");
    fails(
        &["explain", &dense, &photo, "-o", &out, "--preprocess", "none"],
        &["dense.keras", "takes no images"],
    );
}
