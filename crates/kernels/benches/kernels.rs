//! Convolutions of MobileNetV2 and ResNet50 and what is bounded by memory, on one thread: GF/s, as a share of the peak that a
//! loop of nothing but fused multiply-adds of f32 reaches on this processor, and GB/s of images read and written, as a
//! share of what a sum over an array in memory reaches. The operations of a 3x3 convolution are those of the direct
//! method: more than the peak is what Winograd's saves.
//!
//! `cargo bench -p frostline-kernels -- 'pointwise'` runs a part. The table at the end gives the best of many short runs, which
//! a busy machine disturbs least; `KERNELS_TABLE=FILE` writes it to a file.

use criterion::{BenchmarkId, Criterion, Throughput};
use frostline_kernels::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn window(size: usize, channels: usize, kernel: usize, stride: usize) -> Window {
    let window = Window {
        height: size,
        width: size,
        channels,
        kernel_h: kernel,
        kernel_w: kernel,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        pad_top: 0,
        pad_bottom: 0,
        pad_left: 0,
        pad_right: 0,
    };
    window.with_same_padding()
}

/// `(name, size, channels, kernel, stride, out_channels)`.
const CONVOLUTIONS: [(&str, usize, usize, usize, usize, usize); 20] = [
    ("first 3x3/2", 224, 3, 3, 2, 32),
    ("pointwise", 112, 16, 1, 1, 96),
    ("pointwise", 112, 32, 1, 1, 16),
    ("pointwise", 56, 24, 1, 1, 144),
    ("pointwise", 56, 144, 1, 1, 24),
    ("pointwise", 28, 192, 1, 1, 32),
    ("pointwise", 14, 384, 1, 1, 64),
    ("pointwise", 14, 576, 1, 1, 96),
    ("pointwise", 7, 960, 1, 1, 160),
    ("pointwise", 7, 320, 1, 1, 1280),
    ("pointwise", 56, 256, 1, 1, 64),
    ("pointwise", 56, 64, 1, 1, 256),
    ("pointwise", 14, 1024, 1, 1, 256),
    ("pointwise", 7, 2048, 1, 1, 512),
    ("pointwise/2", 56, 256, 1, 2, 512),
    ("pointwise", 14, 512, 1, 1, 256),
    ("3x3", 56, 64, 3, 1, 64),
    ("3x3", 28, 128, 3, 1, 128),
    ("3x3", 14, 256, 3, 1, 256),
    ("3x3", 7, 512, 3, 1, 512),
];

const DEPTHWISE: [(&str, usize, usize, usize, usize); 6] = [
    ("depthwise", 112, 32, 3, 1),
    ("depthwise", 112, 96, 3, 2),
    ("depthwise", 56, 144, 3, 1),
    ("depthwise", 14, 576, 3, 1),
    ("depthwise", 7, 960, 3, 1),
    ("depthwise", 14, 480, 5, 1),
];

fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 2_654_435_761 % 1000) as f32 / 1000.0 - 0.5).collect()
}

/// One named piece of work and its floating-point operations.
struct Work {
    name: String,
    operations: f64,
    /// Bytes of images that are read and written.
    bytes: f64,
    run: Box<dyn FnMut()>,
}

fn all_work() -> Vec<Work> {
    let mut all = Vec::new();
    for (name, size, channels, kernel, stride, out_channels) in CONVOLUTIONS {
        let shape = ConvShape { window: window(size, channels, kernel, stride), out_channels, groups: 1 };
        let name = format!("{name} {size}² x {channels}→{out_channels}");
        let operations = 2.0 * (shape.output_len() * kernel * kernel * channels) as f64;
        let weights = numbers(shape.weights_len());
        let (x, bias) = (numbers(size * size * channels), numbers(out_channels));
        let packed = Convolution::new(shape, &weights, 1);
        let (mut y, mut scratch) = (vec![0.0; shape.output_len()], vec![0.0; packed.scratch_len()]);
        let image = x.clone();
        let values = (x.len() + y.len()) as f64;
        let mut work = |kind: &str, run: Box<dyn FnMut()>| {
            let bytes = values * width(kind);
            all.push(Work { name: format!("{name} {kind}"), operations, bytes, run });
        };
        work(
            "forward",
            Box::new(move || {
                let epilogue =
                    Epilogue { bias: Some(&bias), residual: None, activation: Activation::relu6() };
                packed.forward(&image, &mut y, epilogue, &mut scratch);
            }),
        );
        let packed = PackedConv::<Bf16>::new(shape, &weights);
        let (mut image, mut y) = (vec![Bf16::default(); x.len()], vec![Bf16::default(); shape.output_len()]);
        encode(&x, &mut image);
        let (mut scratch, bias) = (vec![Bf16::default(); packed.scratch_len()], numbers(out_channels));
        work(
            "bf16",
            Box::new(move || {
                let epilogue =
                    Epilogue { bias: Some(&bias), residual: None, activation: Activation::relu6() };
                packed.forward(&image, &mut y, epilogue, &mut scratch);
            }),
        );
        let ends = [&bytes_of(channels), &bytes_of(out_channels)];
        let packed = QuantizedConv::new(shape, &weights, None, ends, None);
        let (image, mut y) = (vec![3; x.len()], vec![0; shape.output_len()]);
        let mut scratch = vec![0; packed.scratch_len()];
        work("int8", Box::new(move || packed.forward(&image, None, &mut y, &mut scratch)));
        let packed = PackedConvGradient::new(shape, &weights);
        let dy = numbers(shape.output_len());
        let (mut dx, mut scratch) = (vec![0.0; x.len()], vec![0.0; packed.scratch_len()]);
        let gradient = dy.clone();
        work(
            "dx",
            Box::new(move || packed.backward_input(&gradient, &mut dx, Accumulate::Overwrite, &mut scratch)),
        );
        let mut dw = vec![0.0; weights.len()];
        let mut scratch = vec![0.0; conv_backward_weights_scratch_len(&shape)];
        work("dw", Box::new(move || conv_backward_weights(&shape, &x, &dy, &mut dw, &mut scratch)));
    }
    for (name, size, channels, kernel, stride) in DEPTHWISE {
        let shape = DepthwiseShape { window: window(size, channels, kernel, stride), multiplier: 1 };
        let name = format!("{name} {kernel}x{kernel}/{stride} {size}² x {channels}");
        let operations = 2.0 * (shape.output_len() * kernel * kernel) as f64;
        let weights = numbers(shape.weights_len());
        let (x, bias) = (numbers(size * size * channels), numbers(channels));
        let dy = numbers(shape.output_len());
        let mut y = vec![0.0; shape.output_len()];
        let mut scratch = vec![0.0; depthwise_scratch_len(&shape)];
        let values = (x.len() + y.len()) as f64;
        let mut work = |kind: &str, run: Box<dyn FnMut()>| {
            let bytes = values * width(kind);
            all.push(Work { name: format!("{name} {kind}"), operations, bytes, run });
        };
        let (image, filters, gradient) = (x.clone(), weights.clone(), dy.clone());
        work(
            "forward",
            Box::new(move || {
                let epilogue =
                    Epilogue { bias: Some(&bias), residual: None, activation: Activation::relu6() };
                depthwise(&shape, &image, &filters, &mut y, epilogue, &mut scratch);
            }),
        );
        let (mut image, mut y) = (vec![Bf16::default(); x.len()], vec![Bf16::default(); shape.output_len()]);
        encode(&x, &mut image);
        let packed = PackedDepthwise::new(shape, &weights, Some(&numbers(channels)));
        work("bf16", Box::new(move || packed.forward(&image, &mut y, Activation::relu6())));
        let quantization = bytes_of(channels);
        let packed = QuantizedDepthwise::new(shape, &weights, None, [&quantization; 2]);
        let (image, mut y) = (vec![3; x.len()], vec![0; shape.output_len()]);
        work("int8", Box::new(move || packed.forward(&image, &mut y)));
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        work(
            "dx",
            Box::new(move || {
                depthwise_backward_input(&shape, &weights, &gradient, &mut dx, Accumulate::Overwrite);
            }),
        );
        work("dw", Box::new(move || depthwise_backward_weights(&shape, &x, &dy, &mut dw)));
    }
    all.extend(normalizations());
    all
}

/// Bytes of a number of an image.
fn width(kind: &str) -> f64 {
    match kind {
        "int8" => 1.0,
        "bf16" => 2.0,
        _ => 4.0,
    }
}

fn bytes_of(channels: usize) -> Quantization {
    Quantization { scales: vec![0.05; channels], zero: 0 }
}

/// Bytes of an array that is in no cache.
const IN_MEMORY: usize = 256 << 20;

/// BatchNormalization of values that are in no cache.
fn normalizations() -> Vec<Work> {
    const CHANNELS: usize = 144;
    // a piece of the result stays in the cache, where the next op reads it
    const PIECE: usize = 56 * CHANNELS;
    let len = IN_MEMORY / 4 / PIECE * PIECE;
    let (x, ones) = (numbers(len), vec![1.0; CHANNELS]);
    let (image, scale) = (x.clone(), ones.clone());
    let mut y = vec![0.0; PIECE];
    let (mut sum, mut squares) = (vec![0.0; CHANNELS], vec![0.0; CHANNELS]);
    let named = |name: &str, operations: usize, run: Box<dyn FnMut()>| Work {
        name: name.to_owned(),
        operations: (operations * len) as f64,
        bytes: (4 * len) as f64,
        run,
    };
    vec![
        named(
            "normalisation, from memory",
            2,
            Box::new(move || {
                for x in image.chunks_exact(PIECE) {
                    scale_shift(CHANNELS, x, &scale, &scale, Activation::relu6(), &mut y);
                }
            }),
        ),
        named(
            "batch statistics, from memory",
            3,
            Box::new(move || channel_sums(CHANNELS, &x, &ones, &mut sum, &mut squares)),
        ),
    ]
}

/// Bytes a second that one thread sums up from memory.
fn memory_peak() -> f64 {
    let values: Vec<u64> = vec![1; IN_MEMORY / 8];
    let mut run = || {
        black_box(values.iter().copied().fold(0u64, u64::wrapping_add));
    };
    IN_MEMORY as f64 / best(Duration::from_millis(500), &mut run)
}

/// The fastest of short runs over `time`, in seconds a call.
fn best(time: Duration, run: &mut dyn FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut best = f64::INFINITY;
    while start.elapsed() < time {
        let call = Instant::now();
        run();
        best = best.min(call.elapsed().as_secs_f64());
    }
    best
}

/// Operations a second of a loop that does nothing but multiply and add, in enough independent chains.
fn peak() -> f64 {
    const CHAINS: usize = 192;
    const STEPS: usize = 100_000;
    #[inline(always)]
    fn chains(factor: f32) -> f32 {
        let mut sums = [1.0f32; CHAINS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, 1.0);
            }
        }
        sums.iter().sum()
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
    fn avx512(factor: f32) -> f32 {
        chains(factor)
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(factor: f32) -> f32 {
        // Twelve vectors of eight stay in registers.
        let mut sums = [1.0f32; CHAINS / 2];
        for _ in 0..2 * STEPS {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, 1.0);
            }
        }
        sums.iter().sum()
    }
    let mut run = || {
        let factor = black_box(0.5);
        let sum = match instruction_set() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kernels found the same instructions on this processor.
            "avx512" => unsafe { avx512(factor) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kernels found the same instructions on this processor.
            "avx2" => unsafe { avx2(factor) },
            "portable" => {
                // Without the instruction, a fused product is a slow function.
                let mut sums = [1.0f32; 32];
                for _ in 0..CHAINS / 32 * STEPS {
                    for sum in &mut sums {
                        *sum = *sum * factor + 1.0;
                    }
                }
                sums.iter().sum()
            }
            _ => chains(factor),
        };
        black_box(sum);
    };
    (2 * CHAINS * STEPS) as f64 / best(Duration::from_millis(300), &mut run)
}

#[allow(clippy::print_stdout, reason = "the table is what this program is for")]
fn main() {
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_millis(400))
        .warm_up_time(Duration::from_millis(100))
        .configure_from_args();
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut all = all_work();
    all.retain(|work| work.name.contains(&filter));
    let (peak, memory) = (peak(), memory_peak());
    let mut table = Vec::new();
    let mut group = criterion.benchmark_group(instruction_set());
    group.sample_size(10);
    for work in &mut all {
        group.throughput(Throughput::Elements(work.operations as u64));
        group.bench_function(BenchmarkId::from_parameter(&work.name), |bench| bench.iter(&mut work.run));
        let speed = work.operations / best(Duration::from_millis(150), &mut work.run);
        let bandwidth = speed / work.operations * work.bytes;
        table.push((work.name.clone(), speed, bandwidth));
    }
    group.finish();
    let sets = [instruction_set(), bf16_instruction_set(), int8_instruction_set()].join(", ");
    let mut text = format!(
        "One thread; f32, bf16 and int8 by {sets}. Peaks: {:.1} GF/s of f32, {:.1} GB/s from memory.\n\n\
         | kernel | GF/s | % of the f32 peak | GB/s of images | % of the memory peak |\n|---|---|---|---|---|\n",
        peak / 1e9,
        memory / 1e9
    );
    for (name, speed, bandwidth) in table {
        text += &format!(
            "| {name} | {:.1} | {:.0} | {:.1} | {:.0} |\n",
            speed / 1e9,
            100.0 * speed / peak,
            bandwidth / 1e9,
            100.0 * bandwidth / memory
        );
    }
    println!("{text}");
    if let Some(path) = std::env::var_os("KERNELS_TABLE") {
        let head = "# Kernels beside the machine's peaks\n\nWritten by `KERNELS_TABLE=$PWD/bench/KERNELS.md cargo bench -p frostline-kernels`.\n\n\
                    3x3 convolutions in f32 by Winograd's method count the operations of the direct one, so that they can pass the peak; \
                    bf16 and int8 have peaks of twice and four times that of f32. Images that fit into a cache come from there, faster \
                    than from memory.\n\n";
        std::fs::write(&path, format!("{head}{text}")).expect("the table's file is written");
    }
}
