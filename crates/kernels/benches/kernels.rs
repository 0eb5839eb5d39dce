//! Convolutions of MobileNetV2 and ResNet50 on one thread, as GF/s and as a share of the peak that a loop of
//! nothing but fused multiply-adds reaches on this processor. The operations of a 3x3 convolution are those of the direct
//! method: more than the peak is what Winograd's saves.
//!
//! `cargo bench -p frostline-kernels -- 'pointwise'` runs a part. The table at the end gives the best of many short runs, which
//! a busy machine disturbs least.

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
        let mut work = |kind: &str, run: Box<dyn FnMut()>| {
            all.push(Work { name: format!("{name} {kind}"), operations, run });
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
        let mut work = |kind: &str, run: Box<dyn FnMut()>| {
            all.push(Work { name: format!("{name} {kind}"), operations, run });
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
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
        work(
            "dx",
            Box::new(move || {
                depthwise_backward_input(&shape, &weights, &gradient, &mut dx, Accumulate::Overwrite);
            }),
        );
        work("dw", Box::new(move || depthwise_backward_weights(&shape, &x, &dy, &mut dw)));
    }
    all
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
    let peak = peak();
    let mut table = Vec::new();
    let mut group = criterion.benchmark_group(instruction_set());
    group.sample_size(10);
    for work in &mut all {
        group.throughput(Throughput::Elements(work.operations as u64));
        group.bench_function(BenchmarkId::from_parameter(&work.name), |bench| bench.iter(&mut work.run));
        let speed = work.operations / best(Duration::from_millis(150), &mut work.run);
        table.push((work.name.clone(), speed));
    }
    group.finish();
    println!("{}: peak {:.1} GF/s", instruction_set(), peak / 1e9);
    for (name, speed) in table {
        println!("{name:40} {:7.1} GF/s {:5.1} % of the peak", speed / 1e9, 100.0 * speed / peak);
    }
}
