use crate::{classes, noise};
use frostline_head::{FeatureTable, HeadError, InMemory, Method, Problem, Solved, Targets, solve};
use std::ops::Range;

/// Gives rows one at a time, as a file might.
struct OneByOne<'a>(InMemory<'a>);

impl FeatureTable for OneByOne<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn width(&self) -> usize {
        self.0.width()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), HeadError> {
        for (row, out) in rows.zip(out.chunks_exact_mut(self.width())) {
            self.0.read(row..row + 1, out)?;
        }
        Ok(())
    }
}

fn on_threads(
    threads: usize,
    table: &dyn FeatureTable,
    targets: Targets<'_>,
    groups: Option<&[usize]>,
) -> Solved {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let blocks = [10, table.width() - 10];
    pool.install(|| {
        solve(&Problem { features: table, blocks: &blocks, targets, weights: None, groups }, Method::Auto)
            .unwrap()
    })
}

#[test]
fn threads_and_the_way_of_reading_change_no_bit() {
    for (rows, width) in [(90, 130), (600, 40)] {
        let (values, labels) = classes(rows, 5, width);
        let table = InMemory { values: &values, width };
        let numbers = noise(rows * 2, 8);
        let ones: Vec<f32> =
            labels.iter().flat_map(|label| [(label % 2) as f32, (label / 3) as f32]).collect();
        let groups: Vec<usize> = (0..rows).map(|row| row % (rows * 2 / 3)).collect();
        for targets in [
            Targets::Classes { labels: &labels, classes: 5 },
            Targets::Numbers { values: &numbers, width: 2 },
            Targets::Labels { values: &ones, width: 2 },
        ] {
            for groups in [None, Some(&groups[..])] {
                let one = on_threads(1, &table, targets, groups);
                assert_eq!(one, on_threads(2, &table, targets, groups));
                assert_eq!(one, on_threads(3, &OneByOne(table), targets, groups));
            }
        }
    }
}
