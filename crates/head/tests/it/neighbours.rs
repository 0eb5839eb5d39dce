use crate::{classes, noise};
use frostline_head::InMemory;
use frostline_head::neighbours::nearest;

#[test]
fn the_nearest_rows_are_those_of_a_plain_search() {
    let (rows, width) = (150, 12);
    // columns of one deviation about one mean: what is standardised is a multiple of what was given
    let (mut values, _) = classes(rows, 3, width);
    values.iter_mut().zip(noise(rows * width, 5)).for_each(|(value, more)| *value = 0.5 * *value + more);
    let columns = |column: usize| values.iter().skip(column).step_by(width).copied();
    let mean = |column: usize| columns(column).map(f64::from).sum::<f64>() / rows as f64;
    let deviation = |column: usize| {
        let mean = mean(column);
        (columns(column).map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / rows as f64).sqrt()
    };
    let deviations: Vec<f64> = (0..width).map(deviation).collect();
    let usual = deviations.iter().sum::<f64>() / width as f64;
    let z = |row: usize, column: usize| {
        f64::from(values[row * width + column]) / (deviations[column] + 0.5 * usual)
    };
    let distance = |a: usize, b: usize| {
        (0..width).map(|column| (z(a, column) - z(b, column)).powi(2)).sum::<f64>().sqrt()
    };
    let groups: Vec<usize> = (0..rows).map(|row| row / 2).collect();
    let found = nearest(&InMemory { values: &values, width }, &[width], &groups).unwrap();
    let mut ratios = Vec::new();
    for (row, nearest) in found.into_iter().enumerate() {
        let others = (0..rows).filter(|other| groups[*other] != groups[row]);
        let best = others.min_by(|a, b| distance(row, *a).total_cmp(&distance(row, *b))).unwrap();
        let (other, own) = nearest.unwrap();
        assert_eq!(other, best, "row {row}");
        ratios.push(own / distance(row, best));
    }
    // each block has the same weight: distances are multiples of the plain ones
    assert!(ratios.iter().all(|ratio| (ratio / ratios[0] - 1.0).abs() < 1e-6), "{ratios:?}");
}

#[test]
fn a_row_without_others_has_no_nearest_one() {
    let values = [1.0, 2.0, 1.0, 2.5];
    let table = InMemory { values: &values, width: 2 };
    assert_eq!(nearest(&table, &[2], &[7, 7]).unwrap(), [None, None]);
    assert!(nearest(&table, &[2], &[7]).is_err());
}
