//! `report.html` of a training.

use super::answer::{Answer, percent};
use super::classes;
use super::curves::{Epoch, curves, rates};
use super::frame::{Frame, Section, code, marked_up, visible};
use super::photos::Album;
use super::scored::{Origin, Scored};
use super::{data, made, mistakes};
use crate::fit::{ClassReport, Evaluation, Prepared, Scores, TargetColumn, Trained, takes_sequences};
use crate::report::RunRecord;
use frostline_data::{Dataset, Input};
use frostline_formats::LoadReport;
use frostline_graph::{Error, Model, Result};
use maud::{Markup, html};

/// Classes that are named in a title.
const NAMED: usize = 3;
/// A class with fewer training images is told.
const FEW: usize = 10;

/// What a page of a training is made of.
pub(in crate::report) struct Training<'a> {
    pub(in crate::report) prepared: &'a Prepared,
    pub(in crate::report) trained: &'a Trained,
    pub(in crate::report) record: &'a RunRecord,
    /// What became of the model's file.
    pub(in crate::report) load: Option<&'a LoadReport>,
    /// What was typed.
    pub(in crate::report) command: &'a [String],
    pub(in crate::report) epochs: &'a [Epoch],
    /// What the model says of the validation images, where nothing else was held out.
    pub(in crate::report) validation: Option<&'a Evaluation>,
}

/// What examples of a dataset are called.
pub(in crate::report) fn noun(dataset: &Dataset, model: &Model) -> &'static str {
    match dataset.examples().next().map(|(_, example)| &example.input) {
        Some(Input::File(_) | Input::Picture(_) | Input::Packed(_)) => "photos",
        _ if takes_sequences(model) => "examples",
        _ => "images",
    }
}

/// `A, B, C and 6 more`.
pub(in crate::report) fn classes_in_short(dataset: &Dataset) -> String {
    let names: Vec<String> = dataset.classes.iter().take(NAMED).map(|name| visible(name)).collect();
    match (names.as_slice(), dataset.classes.len()) {
        ([], _) => "Numbers".to_owned(),
        ([one, other], 2) => format!("{one} or {other}"),
        (_, count) if count > NAMED => format!("{} and {} more", names.join(", "), count - NAMED),
        _ => names.join(", "),
    }
}

impl<'a> Training<'a> {
    /// The page.
    pub(in crate::report) fn page(&self) -> Result<String> {
        let dataset = &self.prepared.dataset;
        let frame = Frame {
            kind: "Training report",
            about: classes_in_short(dataset),
            subtitle: html! {
                "Model " (code(&self.record.source.model.display().to_string()))
                ", data " (code(&self.record.source.data.display().to_string()))
            },
            answer: self.answer().show(&self.reuse()),
            sections: self.sections()?,
        };
        Ok(frame.page())
    }

    /// All below the answer.
    fn sections(&self) -> Result<Vec<Section>> {
        let album = self.album();
        let mut sections: Vec<Section> = self.curves()?.into_iter().collect();
        sections.extend(self.scored_sections(&album)?);
        sections.extend(data::sections(self.prepared, self.record, self.noun(), &album));
        sections.push(self.made());
        Ok(sections)
    }

    /// How it was made.
    pub(in crate::report) fn made(&self) -> Section {
        let Self { prepared, trained, record, load, command, .. } = self;
        made::section(prepared, trained, record, *load, command)
    }

    /// Loss and scores by epoch, and how the rate was found.
    fn curves(&self) -> Result<Option<Section>> {
        let metric = self.prepared.setting.metric.to_string();
        let epochs = curves(self.epochs, &self.record.stages, &metric)?;
        let record = serde_json::to_value(self.record)
            .map_err(|error| Error::setting(format!("the record cannot be written: {error}")))?;
        let rates = rates(&record["lr_search"])?;
        if epochs.is_none() && rates.is_none() {
            return Ok(None);
        }
        let body =
            html! { @if let Some(epochs) = epochs { (epochs) } @if let Some(rates) = rates { (rates) } };
        Ok(Some(Section::new("curves", "Loss and score by epoch", body)))
    }

    /// Scores by class and the photos that are worth a look.
    pub(in crate::report) fn scored_sections(&self, album: &Album<'_>) -> Result<Vec<Section>> {
        let noun = self.noun();
        let mut sections = Vec::new();
        let left_out = self.left_out();
        let scored = self.held_out().map(|(scored, _)| scored);
        let is_about_others = scored.is_some();
        if let Some(scored) = scored.as_ref().or(left_out.as_ref()) {
            sections.extend(classes::sections(scored, noun)?);
            sections.extend(mistakes::sections(scored, noun, album));
        }
        if let Some(left_out) = left_out.filter(|_| is_about_others) {
            sections.extend(mistakes::training(&left_out, noun, album));
        }
        Ok(sections)
    }

    pub(in crate::report) fn noun(&self) -> &'static str {
        noun(&self.prepared.dataset, &self.prepared.model)
    }

    pub(in crate::report) fn album(&self) -> Album<'a> {
        let Prepared { dataset, model, .. } = self.prepared;
        Album::new(dataset, !takes_sequences(model)).explained(model, &self.prepared.pipeline)
    }

    /// The images that were held out, with the model's scores of them: those to test, else those to validate where nothing better is
    /// known.
    fn held_out(&self) -> Option<(Scored<'a>, &'a Scores)> {
        let Prepared { dataset, .. } = self.prepared;
        let test = (self.trained.test.as_ref(), dataset.test.as_deref(), Origin::Test);
        let val = (self.validation, dataset.val.as_deref(), Origin::Val);
        let (found, examples, origin) = [test, val].into_iter().find(|(found, ..)| found.is_some())?;
        let found = found?;
        let scored = Scored {
            origin,
            examples: examples?.iter().collect(),
            outputs: &found.outputs,
            classes: &dataset.classes,
            report: found.report.clone(),
        };
        Some((scored, &found.scores))
    }

    /// The training images, each as a head says that has not seen it.
    fn left_out(&self) -> Option<Scored<'a>> {
        let dataset = &self.prepared.dataset;
        let (outputs, train) = (&self.trained.solved.as_ref()?.out_of_sample, &dataset.train);
        let width = outputs.len() / train.len().max(1);
        if width == 0 || outputs.len() != width * train.len() {
            return None;
        }
        let report = match TargetColumn::of(train, dataset.classes.len()) {
            TargetColumn::Classes(classes) => {
                Some(ClassReport::new(outputs, width, &classes, &dataset.classes, 0.0))
            }
            TargetColumn::Labels { values, .. } => {
                Some(ClassReport::of_labels(outputs, width, &values, &dataset.classes, 0.0))
            }
            TargetColumn::Values { .. } => None,
        };
        let examples = train.iter().collect();
        Some(Scored { origin: Origin::LeftOut, examples, outputs, classes: &dataset.classes, report })
    }

    /// How good the model is.
    pub(in crate::report) fn answer(&self) -> Answer {
        let noun = self.noun();
        let record = self.record;
        let mut answer = match (self.held_out(), &record.estimate) {
            (Some((scored, scores)), _) => Answer::of_scored(&scored, scores, noun),
            (None, Some(prospect)) => Answer::of_prospect(prospect, noun),
            (None, None) => Answer::none(noun),
        };
        if let (true, Some(estimate)) = (self.trained.test.is_some(), &record.estimate)
            && let Some(accuracy) = estimate.accuracy
        {
            answer.text.push_str(&format!(
                " By the training {noun} alone, {} were to be expected ({:.1} to {:.1}).",
                percent(accuracy),
                100.0 * estimate.interval[0],
                100.0 * estimate.interval[1]
            ));
        }
        if let Some([share, low, high]) = record.refused {
            answer.text.push_str(&format!(
                " Of {noun} of the classes, {} are expected to be taken for none of them ({:.1} to {:.1}).",
                percent(share),
                100.0 * low,
                100.0 * high
            ));
        }
        let cautions = &mut answer.cautions;
        if !record.certificate.equal {
            cautions.insert(
                0,
                "A frozen tensor has changed. This is a defect of frostline: please report it.".to_owned(),
            );
        }
        if record.unfreezing.as_ref().is_some_and(|tried| tried.adopted) && self.trained.test.is_none() {
            cautions.push("The highest block was trained after the head was solved. The figure is of models that were trained on two of three parts; the pictures below are of the solved head before it.".to_owned());
        }
        let dataset = &self.prepared.dataset;
        let counts = dataset.class_counts(&dataset.train);
        let few: Vec<String> = (dataset.classes.iter().zip(&counts))
            .filter(|(_, count)| **count < FEW)
            .map(|(name, count)| format!("`{}` {count}", visible(name)))
            .collect();
        if !few.is_empty() {
            let more = few.len().saturating_sub(8);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            cautions.push(format!(
                "Classes with fewer than {FEW} {noun} to train on: {}{more}.",
                few[..few.len().min(8)].join(", ")
            ));
        }
        if let Some(loss) = self.trained.loss_in_f32() {
            cautions.push(format!(
                "The saved model runs in f32, where it finds {:.1} points fewer.",
                100.0 * loss
            ));
        }
        cautions.extend(record.notes.iter().map(|note| sentence(note)));
        answer
    }

    /// What was reused and how long it took.
    pub(in crate::report) fn reuse(&self) -> Markup {
        let record = self.record;
        let model = record.source.model.file_name().unwrap_or(record.source.model.as_os_str());
        let kept = format!(
            "Kept {} of {} layers of `{}`, {} of them frozen from beginning to end.",
            self.prepared.reused.len(),
            self.prepared.layers,
            visible(&model.to_string_lossy()),
            record.frozen.len()
        );
        let head = match &record.solved {
            Some(_) => " The head was solved.",
            None => "",
        };
        html! { p.reuse { (marked_up(&kept)) (head) " It took " (format!("{:.1}\u{a0}s", record.seconds)) "." } }
    }
}

/// A note as a sentence.
pub(in crate::report) fn sentence(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if note.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
