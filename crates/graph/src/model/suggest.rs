//! What was meant by a layer that is not there.

use super::as_flag;

/// How alike two names have to be, from 0 to 1.
const ALIKE: f64 = 0.75;

/// The layer whose path, or whose name, is most like a word, if one is; and where to find the others.
pub(super) fn which_layer(word: &str, paths: &[&str]) -> String {
    let name = |path: &str| path.rsplit('/').next().map_or(0.0, |name| strsim::jaro_winkler(name, word));
    let alike = |path: &&str| strsim::jaro_winkler(path, word).max(name(path));
    let all = "`frostline inspect` lists the layers";
    match paths.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b))) {
        Some(near) if alike(&near) >= ALIKE => format!("did you mean `{}`? {all}", as_flag(near)),
        _ => all.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_where_one_is_alike() {
        let paths = ["output", "hidden", "backbone/block_1_add", "backbone/block_12_add"];
        assert!(which_layer("hiden", &paths).starts_with("did you mean `hidden`?"));
        assert!(which_layer("block12_add", &paths).starts_with("did you mean `backbone/block_12_add`?"));
        assert_eq!(which_layer("nope", &paths), "`frostline inspect` lists the layers");
        assert_eq!(which_layer("", &[]), "`frostline inspect` lists the layers");
    }
}
