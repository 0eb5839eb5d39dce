//! Which part of the data a user's name stands for: `Training`, `test_set`, `val-images`, `Hold Out`.

use super::Split;

/// Words that say no more than that there are data.
const NEUTRAL: [&str; 26] = [
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "photo", "photos",
    "picture", "pictures", "pic", "pics", "sample", "samples", "example", "examples", "split", "part",
    "folder", "dir", "files", "classes", "all",
];

/// The part that a single word names.
fn of_word(word: &str) -> Option<Split> {
    match word {
        "train" | "training" | "trn" => Some(Split::Train),
        "val" | "valid" | "validation" | "validate" | "validating" | "dev" | "development" => {
            Some(Split::Val)
        }
        "test" | "tests" | "testing" | "tst" | "eval" | "evaluation" | "holdout" | "heldout" => {
            Some(Split::Test)
        }
        _ => None,
    }
}

impl Split {
    /// The part that a name stands for, in whatever case, with whatever lies between its words, beside words such as
    /// `set`, `data` or `images`, and a number as in `train2017`.
    pub(crate) fn from_user(name: &str) -> Option<Self> {
        let (parts, others) = words_of(name);
        match parts[..] {
            [split] if others.is_empty() => Some(split),
            _ => None,
        }
    }

    /// The part that a name may stand for beside words of the user's own: `seg_train`.
    pub(super) fn hinted(name: &str) -> Option<Self> {
        match words_of(name).0[..] {
            [split] => Some(split),
            _ => None,
        }
    }
}

/// The parts that the words of a name stand for, each once, and the words that say something else.
fn words_of(name: &str) -> (Vec<Split>, Vec<String>) {
    let (mut parts, mut others) = (Vec::new(), Vec::new());
    for word in split_words(name) {
        // as in `trainset`
        let whole = of_word(&word)
            .or_else(|| NEUTRAL.iter().find_map(|neutral| of_word(word.strip_suffix(neutral)?)));
        match whole {
            Some(split) if parts.contains(&split) => {}
            Some(split) => parts.push(split),
            None if NEUTRAL.contains(&word.as_str()) || word.bytes().all(|b| b.is_ascii_digit()) => {}
            None => others.push(word),
        }
    }
    (parts, others)
}

/// The words of a name in lowercase: what lies between marks, between small and capital letters, and between letters and
/// digits. `hold out` is one word.
fn split_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        let begins = !last.is_alphanumeric()
            || (last.is_lowercase() && c.is_uppercase())
            || last.is_numeric() != c.is_numeric();
        if c.is_alphanumeric() {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        last = c;
    }
    let joined = |pair: &[String]| matches!(pair, [a, b] if (a == "hold" || a == "held") && b == "out");
    if let Some(at) = words.windows(2).position(joined) {
        let out = words.remove(at + 1);
        words[at].push_str(&out);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_however_they_are_written() {
        let known = [
            (
                Split::Train,
                "train Training TRAIN training_set train-data Train Images trainset TrainSet train2017 images-train",
            ),
            (Split::Val, "val valid Validation validation_set VALID dev Dev-Set val.images val_2"),
            (
                Split::Test,
                "test Testing TEST test_set test-images testset eval Evaluation holdout Hold-Out held_out test1",
            ),
        ];
        for (split, names) in known {
            for name in names.split(' ').filter(|name| *name != "Images") {
                assert_eq!(Split::from_user(name), Some(split), "{name}");
            }
        }
        assert_eq!(Split::from_user("Train Images"), Some(Split::Train));
        assert_eq!(Split::from_user("Hold Out Data"), Some(Split::Test));
    }

    #[test]
    fn words_that_hold_such_letters_are_no_parts() {
        for name in [
            "trainer",
            "train_station",
            "test tube",
            "contest",
            "valley",
            "device",
            "strain",
            "trainval",
            "",
            "2017",
            "data",
        ] {
            assert_eq!(Split::from_user(name), None, "{name}");
        }
        assert_eq!(Split::hinted("seg_train"), Some(Split::Train));
        assert_eq!(Split::hinted("train_test"), None);
    }
}
