//! frostline's side of `bench/measure.py`: a process that computes when it is told to.
//!
//! usage: bench_worker MODEL forward|step BATCH FROZEN PRECISION
//!
//! `FROZEN` is the share of the layers, from the lowest, that is frozen in a `step`: the forward pass of the frozen
//! layers, forward and backward pass of the rest, and an update by Adam. It prints `ready`; for each line on standard
//! input, which holds a number of repetitions, it prints the seconds that they took.

use frostline::Precision;
use frostline::compile::{Statistics, compile_in, compile_inference_in};
use frostline::engine::{LossInput, Plan};
use frostline::fit::{Optimizer, OptimizerKind};
use frostline::formats;
use frostline::freeze::Freeze;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, kind, batch, frozen, precision] = arguments.as_slice() else {
        return Err("usage: bench_worker MODEL forward|step BATCH FROZEN PRECISION".into());
    };
    let (batch, frozen, precision): (usize, f64, Precision) =
        (batch.parse()?, frozen.parse()?, precision.parse()?);
    let model = formats::load(model.as_ref())?.model;
    let shapes = model.graph.stand_in_shapes();
    let len: usize = shapes[0].iter().product();
    let pixels: Vec<f32> = (0..batch * len).map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0).collect();
    match kind.as_str() {
        "forward" => {
            let plan = compile_inference_in(precision, &model, &shapes)?;
            let mut rows = vec![0.0; batch * plan.prefix().row_len()];
            serve(|| plan.prefix().run(&pixels, &mut rows))
        }
        "step" => {
            let layers = model.graph.leaves();
            let paths: Vec<&str> = layers.iter().map(|(path, _)| path.as_str()).collect();
            let frozen = &paths[..(frozen * paths.len() as f64) as usize];
            let freeze = Freeze::exactly(&model.graph, frozen)?;
            let mut plan = compile_in(precision, &model, freeze, &shapes, batch, Statistics::Batch)?;
            let lens: Vec<usize> = plan.suffix().trained().map(|(_, weight, _)| weight.len()).collect();
            let mut optimizer = Optimizer::new(OptimizerKind::default(), lens, 0.0);
            let mut rows = vec![0.0; batch * plan.prefix().row_len()];
            serve(|| step(&mut plan, &mut optimizer, &pixels, &mut rows, batch))
        }
        _ => Err(format!("`{kind}` is neither forward nor step").into()),
    }
}

/// One step on a batch whose labels are all the first class.
fn step(plan: &mut Plan, optimizer: &mut Optimizer, pixels: &[f32], rows: &mut [f32], batch: usize) {
    plan.prefix().run(pixels, rows);
    let suffix = plan.suffix();
    suffix.forward_training(rows, batch, 0);
    let mut gradient = suffix.output(batch).to_vec();
    let classes = gradient.len() / batch;
    // softmax and cross-entropy: the gradient by the logits is the probabilities less the targets
    gradient.chunks_mut(classes).for_each(|row| row[0] -= 1.0);
    gradient.iter_mut().for_each(|value| *value /= batch as f32);
    suffix.backward(batch, LossInput::Logits, |to| to.copy_from_slice(&gradient));
    optimizer.begin_step();
    for (index, (_, weight, gradient)) in suffix.trained().enumerate() {
        optimizer.update(index, 1e-3, weight, gradient);
    }
    suffix.reload();
}

fn serve(mut work: impl FnMut()) -> Result<(), Box<dyn Error>> {
    work();
    print("ready");
    for line in std::io::stdin().lock().lines() {
        let repetitions: usize = line?.trim().parse()?;
        let start = Instant::now();
        (0..repetitions).for_each(|_| work());
        print(start.elapsed().as_secs_f64());
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the protocol goes over standard output")]
fn print(line: impl std::fmt::Display) {
    println!("{line}");
}
