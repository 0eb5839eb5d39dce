//! A fair baseline: what training from random weights needs that fine-tuning does not.

use frostline_graph::layers::{Kind, LayerKind};
use frostline_graph::{Body, Graph};

/// PyTorch's default in Keras's terms. The moving statistics of pretrained layers begin where they belong, those of random
/// ones at 0 and 1: with the 0.999 of MobileNetV2 six tenths of that is left after 450 steps, and inference is at chance.
const MOMENTUM: f32 = 0.9;

/// Lets moving statistics follow within a short training: no BatchNormalization keeps more of them at a step than
/// [`MOMENTUM`].
pub(super) fn let_statistics_follow(graph: &mut Graph) {
    for layer in &mut graph.layers {
        match &mut layer.body {
            Body::Model(inner) => let_statistics_follow(inner),
            Body::Kind(Kind::BatchNormalization(normalization)) if normalization.momentum > MOMENTUM => {
                normalization.momentum = MOMENTUM;
                layer.config.extend(normalization.config().remove_entry("momentum"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frostline_formats::load;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn statistics_follow_and_no_other_setting_changes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tangent.keras");
        let mut graph = load(&path).expect("a model").model.graph;
        let settings = |graph: &Graph| -> Vec<_> {
            let of_norms =
                graph.leaves().into_iter().filter(|(_, layer)| layer.config.contains_key("momentum"));
            of_norms.map(|(_, layer)| layer.config.clone()).collect()
        };
        let before = settings(&graph);
        let_statistics_follow(&mut graph);
        let after = settings(&graph);
        assert!(!before.is_empty());
        for (mut before, after) in before.into_iter().zip(after) {
            assert_eq!(before["momentum"], json!(0.99));
            before.insert("momentum".to_owned(), json!(0.9));
            assert_eq!(before, after);
        }
    }
}
