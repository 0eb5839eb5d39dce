//! frostline's side of `bench/measure.py`: a process that computes when it is told to.
//!
//! usage: bench_worker MODEL forward|step|cached-step|profile BATCH FROZEN PRECISION
//!
//! `FROZEN` is the share of the layers, from the lowest, that is frozen in a `step`: the forward pass of the frozen
//! layers, forward and backward pass of the rest, and an update by Adam. It prints `ready`; for each line on standard
//! input, which holds a number of repetitions, it prints the seconds that they took. A `cached-step` begins with the rows
//! that the frozen layers gave before, as every epoch but the first. `profile` runs five steps and prints
//! where the time of the suffix goes, op by op and kind by kind.

use frostline::compile::{Statistics, compile, compile_inference};
use frostline::engine::{LossInput, Plan};
use frostline::fit::{Optimizer, OptimizerKind};
use frostline::formats;
use frostline::graph::Freeze;
use frostline::{DType, PrefixDType};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, kind, batch, frozen, precision] = arguments.as_slice() else {
        return Err(
            "usage: bench_worker MODEL forward|step|cached-step|profile BATCH FROZEN PRECISION".into()
        );
    };
    let (batch, frozen, precision): (usize, f64, DType) =
        (batch.parse()?, frozen.parse()?, precision.parse()?);
    let model = formats::load(model.as_ref())?.model;
    let shapes = model.graph.stand_in_shapes();
    let len: usize = shapes[0].iter().product();
    let pixels: Vec<f32> = (0..batch * len).map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0).collect();
    let numbers = match precision {
        DType::Int8 => PrefixDType::Int8(pixels.as_slice().into()),
        other => other.try_into()?,
    };
    match kind.as_str() {
        "forward" => {
            let plan = compile_inference(&numbers, &model, &shapes)?;
            let mut rows = vec![0.0; batch * plan.prefix().feature_len()];
            serve(|| plan.prefix().run(&pixels, &mut rows))
        }
        "step" | "cached-step" | "profile" => {
            let layers = model.graph.leaves();
            let paths: Vec<&str> = layers.iter().map(|(path, _)| path.as_str()).collect();
            let frozen = &paths[..(frozen * paths.len() as f64) as usize];
            let freeze = Freeze::exactly(&model.graph, frozen)?;
            let mut plan = compile(&numbers, &model, freeze, &shapes, batch, Statistics::Batch)?.plan;
            let lens: Vec<usize> = plan.suffix().trained().map(|(_, weight, _)| weight.len()).collect();
            let mut optimizer = Optimizer::new(OptimizerKind::default(), lens, 0.0);
            let mut rows = vec![0.0; batch * plan.prefix().feature_len()];
            let cached = kind == "cached-step";
            plan.prefix().run(&pixels, &mut rows);
            let mut step = |plan: &mut Plan| {
                if !cached {
                    plan.prefix().run(&pixels, &mut rows);
                }
                step(plan, &mut optimizer, &rows, batch);
            };
            if kind == "profile" {
                profile(&mut plan, step, batch);
                return Ok(());
            }
            serve(|| step(&mut plan))
        }
        _ => Err(format!("`{kind}` is none of forward, step, cached-step and profile").into()),
    }
}

/// One step of the suffix on a batch whose labels are all the first class.
fn step(plan: &mut Plan, optimizer: &mut Optimizer, rows: &[f32], batch: usize) {
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

/// A table of the ops of the suffix: milliseconds of all threads together a step, and the speed of the products.
fn profile(plan: &mut Plan, mut step: impl FnMut(&mut Plan), batch: usize) {
    const STEPS: usize = 5;
    step(plan);
    let before = plan.suffix().seconds();
    let start = Instant::now();
    (0..STEPS).for_each(|_| step(plan));
    let wall = start.elapsed().as_secs_f64() / STEPS as f64;
    let suffix = plan.suffix();
    let (after, megabytes) = (suffix.seconds(), suffix.buffer_bytes() >> 20);
    let program = suffix.program();
    let mut kinds: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
    let row = |name: &str, what: &str, [forward, backward]: [f64; 2], operations: [f64; 2]| {
        let speed = |seconds: f64, operations: f64| format!("{:6.1}", operations / seconds.max(1e-9) / 1e9);
        let speeds = [speed(forward, operations[0]), speed(backward, operations[1])].join(" ");
        print(format!("{name:12} {:8.2} {:8.2} {speeds}  {what}", 1e3 * forward, 1e3 * backward));
    };
    print("op          forward backward GF/s a thread, forward and backward");
    for (index, node) in program.nodes.iter().enumerate() {
        let seconds = [0, 1].map(|pass| (after[index][pass] - before[index][pass]) / STEPS as f64);
        let total = kinds.entry(node.op.kind().name()).or_default();
        (0..2).for_each(|pass| total[pass] += seconds[pass]);
        let cost = node.op.kind().cost(&program.input_shapes(node), &program.param_shapes(node));
        let operations = (2 * cost.multiply_adds * batch as u64) as f64;
        let what = format!(
            "{} {:?} -> {:?}",
            program.layers[node.layer].path,
            node.inputs.first().map(|input| program.shape(*input)),
            program.shape(node.output)
        );
        row(node.op.kind().name(), &what, seconds, [operations, 2.0 * operations]);
    }
    kinds.iter().for_each(|(name, seconds)| row(name, "in all", *seconds, [0.0; 2]));
    let busy: f64 = kinds.values().flatten().sum();
    let speed = batch as f64 / wall;
    print(format!(
        "a step {:.1} ms, its ops {:.1} ms on all threads; {speed:.1} images/s; {megabytes} MB",
        1e3 * wall,
        1e3 * busy
    ));
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
