fn main() {
    for path in std::env::args().skip(1) {
        let start = std::time::Instant::now();
        match frostline::formats::load(path.as_ref()) {
            Ok(loaded) => {
                println!(
                    "{path}: {:?} {} weights, {:.2}s",
                    loaded.report,
                    loaded.model.weights.len(),
                    start.elapsed().as_secs_f32()
                );
                let shapes = loaded.model.graph.stand_in_shapes();
                let start = std::time::Instant::now();
                let mut plan = match frostline::compile::compile_inference(&loaded.model, &shapes) {
                    Ok(p) => p,
                    Err(e) => {
                        println!("{e}");
                        continue;
                    }
                };
                println!(
                    "compiled {:.2}s boundary {:?} arena {} macs {:?}",
                    start.elapsed().as_secs_f32(),
                    plan.boundary(),
                    plan.prefix().arena_bytes(),
                    plan.multiply_adds()
                );
                let n = 32;
                let len: usize = plan.prefix().input_len();
                let x: Vec<f32> = (0..n * len).map(|i| ((i * 7919) % 1000) as f32 / 1000.0).collect();
                plan.predict(&x, n);
                let start = std::time::Instant::now();
                let y = plan.predict(&x, n);
                println!(
                    "{:.1} images/s; {:?}",
                    n as f32 / start.elapsed().as_secs_f32(),
                    &y[0][..4.min(y[0].len())]
                );
            }
            Err(error) => println!("error: {error}"),
        }
    }
}
