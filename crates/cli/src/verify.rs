//! `frostline verify`.

use crate::Failure;
use crate::args::Verify;
use crate::console::{Console, table};
use crate::images::load;
use frostline::verify::{read_reference, verify};

/// Outputs: the largest difference as a share of the largest output.
const FORWARD: f64 = 1e-4;
/// The loss and gradients: the norm of the difference as a share of the norm.
const GRADIENT: f64 = 1e-3;

pub(crate) fn run(command: &Verify, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    let (reference, mut setting) = read_reference(&command.against)?;
    setting.loss = command.loss.or(setting.loss);
    let differences = verify(&model, &reference, setting)?;
    let limit =
        |name: &str| command.tolerance.unwrap_or(if name.starts_with("output") { FORWARD } else { GRADIENT });
    let beyond: Vec<&str> = differences
        .iter()
        .filter(|d| d.relative.is_nan() || d.relative > limit(&d.name))
        .map(|d| d.name.as_str())
        .collect();
    if command.json {
        let entry = |d: &frostline::verify::Difference| serde_json::json!({ "name": d.name, "difference": d.relative, "tolerance": limit(&d.name) });
        let entries: Vec<_> = differences.iter().map(entry).collect();
        console.print(serde_json::json!({ "equal": beyond.is_empty(), "differences": entries }))?;
    } else {
        let row = |d: &frostline::verify::Difference| {
            let verdict = if beyond.contains(&d.name.as_str()) { "beyond" } else { "" };
            vec![d.name.clone(), format!("{:.2e}", d.relative), verdict.to_owned()]
        };
        console.print(table(&differences.iter().map(row).collect::<Vec<_>>(), &[false, true]))?;
    }
    match beyond.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "`{}` differs from `{}` in {}\nhelp: the table says by how much; --tolerance sets the limit",
            command.model.path.display(),
            command.against.display(),
            beyond.join(", ")
        )
        .into()),
    }
}
