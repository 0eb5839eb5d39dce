//! Solves a problem from raw little-endian files and prints seconds; `bench/head.py` calls it.
//!
//! `bench_head FOLDER ROWS WIDTH CLASSES PENALTY REPEATS METHOD`, with `FOLDER/x.f32` `[rows, width]` and `FOLDER/y.u32` `[rows]`.
//! `METHOD` is `fit` (one logistic regression with the penalty, written to `FOLDER/layer.f32`: kernel, then bias), `auto`, `ridge`,
//! `logistic` or `mean`.
#![allow(clippy::print_stdout)]

use frostline_head::{InMemory, Method, Problem, Targets, fit_logistic, solve};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rows, width, classes, penalty, repeats, method] = &arguments[..] else {
        return Err("usage: bench_head FOLDER ROWS WIDTH CLASSES PENALTY REPEATS METHOD".into());
    };
    let (rows, width, classes): (usize, usize, usize) = (rows.parse()?, width.parse()?, classes.parse()?);
    let words = |name: &str| -> std::io::Result<Vec<[u8; 4]>> {
        let bytes = std::fs::read(format!("{folder}/{name}"))?;
        Ok(bytes.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]).collect())
    };
    let values: Vec<f32> = words("x.f32")?.into_iter().map(f32::from_le_bytes).collect();
    let labels: Vec<usize> =
        words("y.u32")?.into_iter().map(|word| u32::from_le_bytes(word) as usize).collect();
    assert_eq!((values.len(), labels.len()), (rows * width, rows));
    let problem = Problem {
        features: &InMemory { values: &values, width },
        blocks: &[width],
        targets: Targets::Classes { labels: &labels, classes },
        weights: None,
        groups: None,
    };
    let method = match method.as_str() {
        "fit" => None,
        "ridge" => Some(Method::Ridge),
        "logistic" => Some(Method::Logistic),
        "mean" => Some(Method::Mean),
        _ => Some(Method::Auto),
    };
    for _ in 0..repeats.parse()? {
        let start = Instant::now();
        if let Some(method) = method {
            let solved = solve(&problem, method)?;
            println!(
                "{:.6} {:?} t={:?} c={:?} log_loss={:?} accuracy={:?} tried={:?}",
                start.elapsed().as_secs_f64(),
                solved.method,
                solved.ridge_penalty,
                solved.logistic_penalty,
                solved.log_loss,
                solved.accuracy,
                solved.tried
            );
        } else {
            let layer = fit_logistic(&problem, penalty.parse()?)?;
            println!("{:.6}", start.elapsed().as_secs_f64());
            let bytes: Vec<u8> =
                layer.kernel.iter().chain(&layer.bias).flat_map(|value| value.to_le_bytes()).collect();
            std::fs::write(format!("{folder}/layer.f32"), bytes)?;
        }
    }
    Ok(())
}
