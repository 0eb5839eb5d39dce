//! Numbers of layers that are names of layers too.

use crate::fit::TrainConfig;
use frostline_graph::{Graph, Keep, Unfreeze};

/// Says which was meant where a number of layers is also the name of one.
pub(in crate::fit) fn number_notes(graph: &Graph, recipe: &TrainConfig) -> Vec<String> {
    let keep = recipe.keep.as_ref().and_then(|keep| {
        let up_to = graph.highest_kept(keep).map(|path| format!(", up to `{path}`")).unwrap_or_default();
        let meaning = match keep {
            Keep::Layer(_) => return None,
            Keep::Lowest(count) => format!("keeps the {count} lowest layers{up_to}"),
            Keep::AllBut(count) => format!("keeps all but the {count} highest layers{up_to}"),
        };
        graph.number_note("keep", &keep.to_string(), &meaning)
    });
    let unfrozen = recipe.stage.iter().filter_map(|stage| match stage.unfreeze {
        Unfreeze::Highest(count) => {
            let meaning = format!("trains the {count} highest reused layers");
            graph.number_note("unfreeze", &count.to_string(), &meaning)
        }
        _ => None,
    });
    keep.into_iter().chain(unfrozen.take(1)).collect()
}
