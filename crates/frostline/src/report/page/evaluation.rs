//! The page of `evaluate`.

use super::answer::{Answer, percent};
use super::frame::{Column, Frame, Section, code, facts, grid, marked_up, name};
use super::photos::Album;
use super::scored::{Origin, Scored};
use super::training::{classes_in_short, noun, sentence};
use super::{classes, made, mistakes};
use crate::fit::{Evaluation, Metric, takes_sequences};
use frostline_data::{Dataset, Example, Pipeline, Skip};
use frostline_files::write_atomically;
use frostline_formats::LoadReport;
use frostline_graph::{Error, Model, Result};
use maud::{Markup, html};
use std::path::{Path, PathBuf};

/// Of a folder, the page in it.
const PAGE: &str = "report.html";
/// Lines of the files that were left out.
const LINES: usize = 200;

/// A model's scores on images, as a page.
pub struct EvaluationPage<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its file, as the user named it.
    pub path: &'a Path,
    /// Where the images come from.
    pub dataset: &'a Dataset,
    /// How they become inputs.
    pub pipeline: &'a Pipeline,
    /// The images that are scored.
    pub examples: &'a [Example],
    /// What they are: `` `photos` ``.
    pub what: &'a str,
    /// What the model says of them.
    pub found: &'a Evaluation,
    /// Images that the model has seen, scored apart: what became of them, how many there are, their scores.
    pub seen: &'a [(&'a str, usize, Evaluation)],
    /// What the user was told.
    pub notes: &'a [String],
    /// Images that were left out.
    pub skipped: &'a [Skip],
    /// What became of the model's file.
    pub load: &'a LoadReport,
    /// What was typed.
    pub command: &'a [String],
}

impl EvaluationPage<'_> {
    /// Where a page is written that is asked for at `path`: there, if it ends in `.html`, else as `report.html` in that folder.
    ///
    /// Errors: there is the report of a training, which is not written over.
    pub fn place(path: &Path) -> Result<PathBuf> {
        let is_page = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("html") || ending.eq_ignore_ascii_case("htm"));
        let (page, folder) = match is_page && !path.is_dir() {
            true => (path.to_owned(), path.parent().map(Path::to_owned).unwrap_or_default()),
            false => (path.join(PAGE), path.to_owned()),
        };
        let is_of_run = page.file_name().is_some_and(|name| name == PAGE) && folder.join("run.json").exists();
        match (is_of_run, !is_page && path.is_file()) {
            (true, _) => Err(Error::setting(format!(
                "`{}` is the report of a training, which is not written over\nhelp: give another file that ends in `.html`, or another folder",
                page.display()
            ))),
            (_, true) => Err(Error::setting(format!(
                "`{}` is a file\nhelp: give a folder, or a file that ends in `.html`",
                path.display()
            ))),
            _ => Ok(page),
        }
    }

    /// Writes the page, and makes its folder if it is not there.
    pub fn write(&self, page: &Path) -> Result<()> {
        if let Some(folder) = page.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        }
        Ok(write_atomically(page, self.page()?.as_bytes())?)
    }

    /// The page.
    pub fn page(&self) -> Result<String> {
        let Self { model, path, dataset, pipeline, examples, what, found, load, command, .. } = self;
        let noun = noun(dataset, model);
        let scored = Scored {
            origin: Origin::Asked((*what).to_owned()),
            examples: examples.iter().collect(),
            outputs: &found.outputs,
            classes: &dataset.classes,
            report: found.report.clone(),
        };
        let mut answer = Answer::of_scored(&scored, &found.scores, noun);
        if !self.skipped.is_empty() {
            answer
                .cautions
                .push(format!("{} {noun} were left out; they are listed below.", self.skipped.len()));
        }
        answer.cautions.extend(self.notes.iter().map(|note| sentence(note)));
        let album = Album::new(dataset, !takes_sequences(model));
        let mut sections = classes::sections(&scored, noun)?;
        sections.extend(self.by_what_was_seen());
        sections.extend(mistakes::sections(&scored, noun, &album));
        let body = html! {
            h3 { "How images are taken" }
            (made::images(pipeline, model))
            (made::tensors(load))
            (self.left_out())
            (made::again(command, "The page is written over."))
            h3 { "Versions" }
            (facts(&[
                ("frostline", html! { (env!("CARGO_PKG_VERSION")) }),
                ("model", code(&path.display().to_string())),
                ("data", code(&dataset.source.display().to_string())),
            ]))
        };
        sections.push(Section::new("made", "How it was scored", body));
        let frame = Frame {
            kind: "Evaluation",
            about: classes_in_short(dataset),
            subtitle: html! {
                "Model " (code(&path.display().to_string())) ", data " (code(&dataset.source.display().to_string()))
            },
            answer: answer
                .show(&html! { p.reuse { "The mean loss is " (format!("{:.4}", found.scores.loss)) "." } }),
            sections,
        };
        Ok(frame.page())
    }

    /// Scores of images that the model has seen, beside those of others.
    fn by_what_was_seen(&self) -> Option<Section> {
        if self.seen.is_empty() {
            return None;
        }
        let metric =
            |found: &Evaluation| found.scores.get(Metric::Accuracy).map_or_else(|| "–".to_owned(), percent);
        let row = |what: &str, images: usize, found: &Evaluation| {
            vec![
                html! { (what) },
                html! { (images) },
                html! { (metric(found)) },
                html! { (format!("{:.4}", found.scores.loss)) },
            ]
        };
        let mut rows = vec![row("scored above", self.examples.len(), self.found)];
        rows.extend(self.seen.iter().map(|(name, images, found)| row(&format!("{name} on"), *images, found)));
        let columns = [
            Column::text("images"),
            Column::number("count"),
            Column::number("right"),
            Column::number("loss"),
        ];
        Some(Section::new(
            "seen",
            "Images that the model has seen",
            grid("Scores by what was seen", &columns, rows),
        ))
    }

    fn left_out(&self) -> Markup {
        let shown = self.skipped.iter().take(LINES);
        let rows: Vec<Vec<Markup>> =
            shown.map(|skip| vec![name(&skip.name), marked_up(&skip.reason)]).collect();
        html! {
            @if !rows.is_empty() {
                details {
                    summary { (self.skipped.len()) " files were left out" }
                    (grid("Files that were left out", &[Column::text("file"), Column::text("why")], rows))
                    @if self.skipped.len() > LINES { p.note { "and " (self.skipped.len() - LINES) " more" } }
                }
            }
        }
    }
}
