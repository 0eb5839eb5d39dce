//! PyTorch's pickles are refused, whatever they are called.

use crate::archive::pack;
use crate::golden;
use frostline::formats;

#[test]
fn pickles_are_refused_with_the_way_to_safetensors() {
    let folder = tempfile::tempdir().expect("a folder");
    // what torch.save writes, since version 1.6 and before
    let zip =
        pack(&[("model/data.pkl".to_owned(), vec![0x80, 2]), ("model/version".to_owned(), b"3\n".to_vec())]);
    let legacy = [&[0x80, 2, 0x8a, 10][..], b"l\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."].concat();
    let model = golden::load("keras/dense.keras");
    for name in ["model.pth", "model.pt", "model.bin", "model.safetensors", "model.keras"] {
        for bytes in [&zip, &legacy] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            let weights = formats::load_weights(&path, &model).expect_err("refused").to_string();
            for error in [formats::load(&path).expect_err("refused").to_string(), weights] {
                assert!(error.contains(name) && error.contains("runs the code"), "{error}");
                assert!(error.contains("help:") && error.contains("save_file(model.state_dict()"), "{error}");
            }
        }
    }
}
