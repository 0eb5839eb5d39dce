//! `frostline convert`.

use crate::Failure;
use crate::args::Convert;
use crate::console::Console;
use crate::images::load;
use frostline::formats;

pub(crate) fn run(command: &Convert, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    if let Some(weights) = &command.weights {
        let report = formats::load_weights(weights, &model)?;
        if !report.unused.is_empty() {
            console.warn(format_args!("`{}`: not used: {}", weights.display(), report.unused.join(", ")));
        }
    }
    formats::save(&model, &command.output)?;
    let tensors = model.weights.len();
    match command.json {
        true => console.print(serde_json::json!({ "model": command.output, "tensors": tensors })),
        false => console.print(format_args!("{}: {tensors} tensors", command.output.display())),
    }
}
