//! The first thing on a page: how good the model is, how sure that is, and what may be wrong with it.

use super::frame::marked_up;
use super::scored::{Origin, Scored};
use crate::fit::{LabelScores, Metric, Prospect, Scores};
use frostline_head::interval::Interval;
use maud::{Markup, html};

/// With fewer images a score is little more than a guess.
const FEW: usize = 100;

/// A figure, what it is of, and how far it may be off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::report) struct Answer {
    /// Large: `62.3 %`.
    pub(in crate::report) figure: String,
    /// Goes on from it.
    pub(in crate::report) text: String,
    /// Why it may be wrong.
    pub(in crate::report) cautions: Vec<String>,
}

/// `62.3 %`, in one line.
pub(in crate::report) fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", 100.0 * share)
}

fn range(low: f64, high: f64) -> String {
    format!("95\u{a0}% interval {:.1} to {}", 100.0 * low, percent(high))
}

impl Answer {
    /// Of images that were scored.
    pub(in crate::report) fn of_scored(scored: &Scored<'_>, scores: &Scores, noun: &str) -> Self {
        let images = scored.examples.len();
        let what = scored.origin.of(noun);
        let mut answer = match (scored.accuracy(), scored.mean_squared_error()) {
            (Some(Interval { value, low, high, .. }), _) => {
                let label_scores = LabelScores {
                    map: scores.get(Metric::MeanAveragePrecision),
                    f1: scores.get(Metric::F1),
                    f1_micro: scores.get(Metric::MicroF1),
                };
                match scored.report.as_ref().and_then(|report| report.labels.map) {
                    Some(map) => {
                        of_labels(map, &label_scores, value, [low, high], &format!("{images} {what}"))
                    }
                    None => Self {
                        figure: percent(value),
                        text: format!("of {images} {what} are right ({}).", range(low, high)),
                        ..Self::default()
                    },
                }
            }
            (None, Some(Interval { value, low, high, .. })) => {
                of_numbers(value, [low, high], &format!("{images} {what}"))
            }
            (None, None) => Self {
                figure: format!("loss {:.4}", scores.loss),
                text: format!("on {images} {what}."),
                ..Self::default()
            },
        };
        if scored.origin == Origin::Val {
            answer.cautions.push(format!(
                "The epoch that was kept was chosen by these {images} {noun}, so that new ones score a little lower. A part `test` in the data would tell how much."
            ));
        }
        answer.few(images, noun);
        answer
    }

    /// Of what is to be expected by the training images.
    pub(in crate::report) fn of_prospect(prospect: &Prospect, noun: &str) -> Self {
        let Prospect { accuracy, labels, mse, interval, images, alone, .. } = prospect;
        let how =
            format!("each of the {images} training {noun} was predicted by a head that had not seen it");
        let mut answer = match (accuracy, labels.map, mse) {
            (Some(accuracy), Some(map), _) => {
                of_labels(map, labels, *accuracy, *interval, &format!("new {noun} like these"))
            }
            (Some(accuracy), None, _) => Self {
                figure: percent(*accuracy),
                text: format!(
                    "of new {noun} like these are expected to be right ({}).",
                    range(interval[0], interval[1])
                ),
                ..Self::default()
            },
            (None, ..) => of_numbers(mse.unwrap_or(f64::NAN), *interval, &format!("new {noun} like these")),
        };
        answer.text.push_str(&format!(" {}{}.", how[..1].to_uppercase(), &how[1..]));
        answer.cautions.push(format!(
            "The figure comes from the training {noun}. It says nothing of {noun} from another source: another camera, another place, another year."
        ));
        match alone {
            0 => {}
            _ if alone == images => {
                answer = Self::none(noun);
                answer.text = format!(
                    "Each class has one of the training {noun}, and a head that had not seen it knows nothing of the class: nothing tells how good the model is on new ones."
                );
            }
            alone => answer.cautions.push(format!(
                "{alone} of the training {noun} are the only ones of their class. They count as wrong."
            )),
        }
        answer.few(*images, noun);
        answer
    }

    /// Of nothing.
    pub(in crate::report) fn none(noun: &str) -> Self {
        Self {
            figure: "No score".to_owned(),
            text: format!(
                "No {noun} were held out, so that nothing tells how good the model is on new ones."
            ),
            cautions: vec![
                "Hold some out to know: a part `test` in the data, or the setting `val = 0.2`.".to_owned(),
            ],
        }
    }

    fn few(&mut self, images: usize, noun: &str) {
        if images < FEW {
            self.cautions.push(format!(
                "{images} {noun} are few: the interval is wide, and another {images} may score quite otherwise."
            ));
        }
    }

    /// Large, with `reuse` below: what was reused and how long it took.
    pub(in crate::report) fn show(&self, reuse: &Markup) -> Markup {
        html! {
            section.answer aria-label="The answer" {
                p.verdict { strong { (self.figure) } " " (marked_up(&self.text)) }
                (reuse)
            }
            @if !self.cautions.is_empty() {
                aside.cautions aria-label="What to bear in mind" {
                    p { strong { "What to bear in mind" } }
                    ul { @for caution in &self.cautions { li { (marked_up(caution)) } } }
                }
            }
        }
    }
}

fn of_labels(map: f64, labels: &LabelScores, all_right: f64, [low, high]: [f64; 2], what: &str) -> Answer {
    let f1 = match (labels.f1, labels.f1_micro) {
        (Some(f1), Some(micro)) => {
            format!(" F1 is {f1:.3} as the mean over labels and {micro:.3} of all decisions.")
        }
        _ => String::new(),
    };
    Answer {
        figure: format!("mAP {map:.3}"),
        text: format!(
            "on {what}: the mean average precision of the labels.{f1} All labels are right in {} ({}).",
            percent(all_right),
            range(low, high)
        ),
        ..Answer::default()
    }
}

fn of_numbers(error: f64, [low, high]: [f64; 2], what: &str) -> Answer {
    Answer {
        figure: format!("± {}", number(error.sqrt())),
        text: format!(
            "is how far predictions of {what} are off (root of the mean squared error {}, 95 % interval {} to {}).",
            number(error),
            number(low),
            number(high)
        ),
        ..Answer::default()
    }
}

/// A number with four digits that say something.
pub(in crate::report) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_has_its_interval_and_says_what_it_does_not_tell() {
        let prospect =
            Prospect { accuracy: Some(0.7667), interval: [0.65, 0.85], images: 90, ..Prospect::default() };
        let answer = Answer::of_prospect(&prospect, "photos");
        assert_eq!(answer.figure, "76.7\u{a0}%");
        assert!(
            answer.text.contains("95\u{a0}% interval 65.0 to 85.0\u{a0}%")
                && answer.text.contains("had not seen it")
        );
        assert!(
            answer.cautions[0].contains("another source") && answer.cautions[1].contains("90 photos are few")
        );
    }

    #[test]
    fn numbers_have_four_digits() {
        let told = [0.123_456, 12.345, 12345.6, 1e-7, 0.0].map(number);
        assert_eq!(told, ["0.1235", "12.35", "12346", "0.0000001000", "0"]);
    }
}
