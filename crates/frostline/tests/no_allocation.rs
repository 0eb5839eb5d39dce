//! After its first step a training takes no memory any more, nor does a frozen prefix after its first images.
//!
//! Counting needs an allocator of the test's own, and an allocator is unsafe by its trait: hence the one exception to
//! the rule that unsafe code lives in `frostline-kernels`. It hands everything on to the system's.
#![allow(unsafe_code)]

use frostline::PrefixDType;
use frostline::compile::{Statistics, compile, compile_inference};
use frostline::engine::{LossInput, Suffix};
use frostline::fit::{Optimizer, OptimizerKind};
use frostline::formats;
use frostline::graph::Freeze;
use frostline::graph::{Keep, Model, Transfer};
use frostline::ops::{Node, Op, Program};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is the system allocator's, with the arguments as they came; the counters are beside it
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller keeps the trait's contract
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the pointer came from `alloc` above
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const IMAGES: usize = 4;
const STEPS: usize = 20;
/// With several threads rayon may take memory: a queue of a thread grows when it is full, and a second thread may be
/// woken for the first time after the warm-up. With one thread there is no such excuse.
const OF_RAYON: usize = 64;

/// The crate `gemm` takes its packing buffers anew for each product, and offers no way to hand them in.
const OF_GEMM: usize = 2;

fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Relaxed);
    work();
    ALLOCATIONS.load(Relaxed) - before
}

fn golden_models() -> Vec<(String, Model)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("goldens").map(|e| e.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "keras"));
    files.sort();
    let load = |path: PathBuf| (path.display().to_string(), formats::load(&path).expect("a golden").model);
    files.into_iter().map(load).collect()
}

fn step(suffix: &mut Suffix, rows: &[f32], optimizer: &mut Optimizer) {
    suffix.forward_training(rows, IMAGES, 1);
    suffix.backward(IMAGES, LossInput::Output, |gradient| gradient.fill(1e-3));
    optimizer.begin_step();
    for (index, (_, weight, gradient)) in suffix.trained().enumerate() {
        optimizer.update(index, 1e-3, weight, gradient);
    }
    suffix.reload();
}

/// Without a product: the model, or what of it lies below its first.
fn without_products(model: &Model) -> Option<Model> {
    let is_plain = |model: &Model| {
        let shapes = model.graph.stand_in_shapes();
        let mut plan =
            compile(&PrefixDType::F32, model, Freeze::nothing(), &shapes, IMAGES, Statistics::Batch)
                .expect("a plan")
                .plan;
        products(plan.suffix().program()) == 0 && plan.suffix().trained().next().is_some()
    };
    let cuts = model.graph.cut_points().into_iter().rev();
    let mut kept = cuts.map(|cut| model.keep_with(&Keep::Layer(cut), Transfer::Copy).expect("a cut"));
    kept.find(|model| is_plain(model))
}

/// The products of matrices that an image takes.
fn products(program: &Program) -> usize {
    let of_node = |node: &Node| match node.op {
        Op::Dense(_) => 1,
        // the input's, which the backward pass makes again, and the gradients of the input and of both kernels
        Op::Recurrent(_) => 2,
        // one for each pair of matrices in its inputs
        Op::Product(_) => program.shape(node.inputs[0]).iter().rev().skip(2).product(),
        _ => 0,
    };
    program.nodes.iter().map(of_node).sum()
}

/// The allocations of the steps of a training, and of the products among its ops.
fn of_steps(model: &Model) -> (usize, usize) {
    let shapes = model.graph.stand_in_shapes();
    let mut plan = compile(&PrefixDType::F32, model, Freeze::nothing(), &shapes, IMAGES, Statistics::Batch)
        .expect("a plan")
        .plan;
    let mut rows = vec![0.0; IMAGES * plan.prefix().feature_len()];
    plan.prefix().run(&vec![0.5; IMAGES * plan.prefix().input_len()], &mut rows);
    let suffix = plan.suffix();
    let lens: Vec<usize> = suffix.trained().map(|(_, weight, _)| weight.len()).collect();
    if lens.is_empty() {
        return (0, 0);
    }
    let mut optimizer = Optimizer::new(OptimizerKind::default(), lens, 0.01);
    (0..3).for_each(|_| step(suffix, &rows, &mut optimizer));
    let found = allocations(|| (0..STEPS).for_each(|_| step(suffix, &rows, &mut optimizer)));
    (found, products(suffix.program()))
}

fn steps_take_no_memory(threads: usize) {
    let of_threads = if threads == 1 { 0 } else { OF_RAYON };
    let (mut plain, mut wrong) = (0, Vec::new());
    for (name, model) in golden_models() {
        if let Some(lower) = without_products(&model) {
            plain += 1;
            let (found, _) = of_steps(&lower);
            if found > of_threads {
                wrong.push(format!("{name}: {found} allocations in {STEPS} steps on {threads} threads"));
            }
        }
        let (found, products) = of_steps(&model);
        // forward, gradient of the input, gradient of the kernel; each image is a piece of its own
        let limit = STEPS * products * 3 * IMAGES * OF_GEMM + of_threads;
        if found > limit {
            wrong.push(format!("{name}: {found} allocations, at most {limit} are those of its products"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(plain > 20, "only {plain} goldens train below their first product");
}

fn frozen_images_take_no_memory(threads: usize) {
    let mut wrong = Vec::new();
    for (name, model) in golden_models() {
        let plan =
            compile_inference(&PrefixDType::F32, &model, &model.graph.stand_in_shapes()).expect("a plan");
        let prefix = plan.prefix();
        let products = products(prefix.program());
        let images = 16;
        let (inputs, mut rows) =
            (vec![0.5; images * prefix.input_len()], vec![0.0; images * prefix.feature_len()]);
        (0..3).for_each(|_| prefix.run(&inputs, &mut rows));
        let found = allocations(|| (0..STEPS).for_each(|_| prefix.run(&inputs, &mut rows)));
        // a second thread takes its buffers when it first helps
        let limit = STEPS * images * products * OF_GEMM + if threads == 1 { 0 } else { OF_RAYON };
        if found > limit {
            wrong.push(format!(
                "{name}: {found} allocations for {} images on {threads} threads",
                STEPS * images
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a plan took it gives back: a thousand fits hold no more memory than one.
fn memory_is_flat_over_a_thousand_fits() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/keras/batch_norm_dense.keras");
    let model = formats::load(&path).expect("a golden").model;
    let fit = || {
        let shapes = model.graph.stand_in_shapes();
        let mut plan =
            compile(&PrefixDType::F32, &model, Freeze::nothing(), &shapes, IMAGES, Statistics::Batch)
                .expect("a plan")
                .plan;
        let rows = vec![0.5; IMAGES * plan.prefix().feature_len()];
        let lens: Vec<usize> = plan.suffix().trained().map(|(_, weight, _)| weight.len()).collect();
        step(plan.suffix(), &rows, &mut Optimizer::new(OptimizerKind::default(), lens, 0.0));
        plan.store(&model).expect("stored");
    };
    (0..10).for_each(|_| fit());
    let before = LIVE.load(Relaxed);
    (0..1000).for_each(|_| fit());
    let grown = LIVE.load(Relaxed) - before;
    assert!(grown <= 4096, "{grown} bytes are held after a thousand fits");
}

/// One test: another beside it would be counted too.
#[test]
fn steps_and_frozen_images_take_no_memory_after_the_first() {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            steps_take_no_memory(threads);
            frozen_images_take_no_memory(threads);
            memory_is_flat_over_a_thousand_fits();
        });
    }
}
