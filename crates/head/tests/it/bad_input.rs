use frostline_head::novelty::Novelty;
use frostline_head::{HeadError, InMemory, Method, Problem, Targets, solve};
use proptest::prelude::*;

fn attempt(
    values: &[f32],
    width: usize,
    labels: &[usize],
    classes: usize,
) -> Result<frostline_head::Solved, HeadError> {
    let features = &InMemory { values, width };
    let targets = Targets::Classes { labels, classes };
    solve(&Problem { features, blocks: &[width], targets, weights: None, groups: None }, Method::Auto)
}

#[test]
fn each_fault_has_its_error() {
    use HeadError::{EmptyClass, FeatureNotFinite, NoColumns, NoSuchClass, Size, TooFewClasses, TooFewRows};
    assert!(matches!(attempt(&[], 0, &[], 2), Err(NoColumns)));
    assert!(matches!(attempt(&[], 3, &[], 2), Err(TooFewRows { rows: 0 })));
    assert!(matches!(attempt(&[1.0], 1, &[0], 2), Err(TooFewRows { rows: 1 })));
    assert!(matches!(attempt(&[1.0, 2.0], 1, &[0, 0], 1), Err(TooFewClasses { classes: 1 })));
    assert!(matches!(attempt(&[1.0, 2.0], 1, &[0, 0], 2), Err(EmptyClass { class: 1 })));
    assert!(matches!(attempt(&[1.0, 2.0], 1, &[0, 1], usize::MAX), Err(EmptyClass { class: 2 })));
    assert!(matches!(attempt(&[1.0, 2.0], 1, &[0, 5], 2), Err(NoSuchClass { row: 1, class: 5, classes: 2 })));
    assert!(matches!(attempt(&[1.0, 2.0], 1, &[0], 2), Err(Size { .. })));
    let nan = attempt(&[1.0, 2.0, 3.0, f32::NAN], 2, &[0, 1], 2);
    assert!(matches!(nan, Err(FeatureNotFinite { row: 1, column: 1 })), "{nan:?}");
}

#[test]
fn two_rows_of_two_classes_and_equal_rows_are_solved() {
    let solved = attempt(&[1.0, 2.0], 1, &[0, 1], 2).unwrap();
    assert!(solved.kernel.iter().chain(&solved.bias).all(|value| value.is_finite()));
    let solved = attempt(&[1.0; 12], 2, &[0, 1, 0, 1, 0, 1], 2).unwrap();
    assert!(solved.kernel.iter().all(|value| *value == 0.0));
}

fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        20 => -2.0_f32..2.0,
        2 => Just(0.0_f32),
        1 => prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE), Just(1e-45_f32)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_what_is_solved_is_finite(
        (rows, width, outputs) in (0_usize..14, 1_usize..10, 1_usize..4),
        values in prop::collection::vec(value(), 140),
        labels in prop::collection::vec(0_usize..4, 14),
        weights in prop::option::of(prop::collection::vec(prop_oneof![Just(0.0), 0.0..2.0, Just(1e-300), Just(1e300)], 14)),
        groups in prop::option::of(prop::collection::vec(0_usize..5, 14)),
        kind in 0..3,
    ) {
        let table = InMemory { values: &values[..rows * width], width };
        let numbers: Vec<f32> = match kind {
            1 => (0..rows * outputs).map(|at| ((at * 7 + labels[at % 14]) % 2) as f32).collect(),
            _ => (0..rows * outputs).map(|at| values[at]).collect(),
        };
        let targets = match kind {
            0 => Targets::Classes { labels: &labels[..rows], classes: outputs + 1 },
            1 => Targets::Labels { values: &numbers, width: outputs },
            _ => Targets::Numbers { values: &numbers, width: outputs },
        };
        let problem = Problem {
            features: &table,
            blocks: &[width / 2, width - width / 2],
            targets,
            weights: weights.as_ref().map(|weights| &weights[..rows]),
            groups: groups.as_ref().map(|groups| &groups[..rows]),
        };
        if let Ok(solved) = solve(&problem, Method::Auto) {
            prop_assert_eq!(solved.out_of_sample.len(), rows * outputs + if kind == 0 { rows } else { 0 });
            prop_assert!(solved.out_of_sample.iter().all(|value| value.is_finite()));
            if kind != 2 {
                prop_assert!(solved.probabilities().iter().all(|p| (0.0..=1.0).contains(p)));
            }
        }
        if kind == 0 {
            let _ = Novelty::fit(&table, problem.blocks, &labels[..rows], outputs + 1, problem.groups, 0.05);
        }
    }
}
