//! Folds that keep groups together and classes in proportion, without chance.

use crate::Targets;

/// Up to this many rows there are 10 folds, above it 5.
const FEW: usize = 150;

/// The fold of each row. There are as many folds as groups, at most 10.
///
/// Groups are dealt class by class, the largest first, each to the fold that has the fewest rows of the class, and of those to the
/// one with the fewest rows. Equals go by their first row.
pub(crate) fn folds(targets: &Targets<'_>, groups: Option<&[usize]>, rows: usize) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..rows).collect();
    if let Some(groups) = groups {
        order.sort_by_key(|row| groups[*row]);
    }
    let kinds = kinds(targets, rows);
    let runs = match groups {
        Some(groups) => crate::pieces::runs(&order, |row| groups[row]),
        None => (0..rows).map(|row| row..row + 1).collect(),
    };
    let mut units: Vec<&[usize]> = runs.into_iter().map(|run| &order[run]).collect();
    units.sort_by_key(|unit| (kinds[unit[0]], usize::MAX - unit.len(), unit[0]));
    let count = units.len().min(if rows <= FEW { 10 } else { 5 });
    let classes = kinds.iter().max().map_or(0, |kind| kind + 1);
    let (mut of_kind, mut sizes) = (vec![0_usize; classes * count], vec![0_usize; count]);
    let mut fold_of = vec![0; rows];
    for unit in units {
        let kind = kinds[unit[0]];
        let fold = (0..count).min_by_key(|fold| (of_kind[kind * count + fold], sizes[*fold])).unwrap_or(0);
        sizes[fold] += unit.len();
        for row in unit {
            of_kind[kinds[*row] * count + fold] += 1;
            fold_of[*row] = fold;
        }
    }
    (fold_of, count)
}

/// What rows are spread by: their class, or the rarest of their labels.
fn kinds(targets: &Targets<'_>, rows: usize) -> Vec<usize> {
    match targets {
        Targets::Classes { labels, .. } => labels.to_vec(),
        Targets::Numbers { .. } => vec![0; rows],
        Targets::Labels { width, .. } => {
            let count = |label: usize| (0..rows).filter(|row| targets.value(*row, label) > 0.0).count();
            let counts: Vec<usize> = (0..*width).map(count).collect();
            let rarest = |row: usize| {
                let labels = (0..*width).filter(|label| targets.value(row, *label) > 0.0);
                labels.min_by_key(|label| counts[*label]).unwrap_or(*width)
            };
            (0..rows).map(rarest).collect()
        }
    }
}
