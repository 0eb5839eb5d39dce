//! Photos on a page, and how they are shown.

use super::frame::{name, visible};
use crate::explain::Explainer;
use crate::predict::Picture;
use base64::{Engine, engine::general_purpose::STANDARD};
use frostline_data::{Dataset, Example, Pipeline, Thumbnail};
use frostline_graph::Model;
use maud::{Markup, html};
use rayon::prelude::*;
use std::cell::Cell;

/// Pixels of the longer side.
const SIDE: usize = 144;
/// How much of a photo its heat map hides.
const OPACITY: f32 = 0.55;
/// Bytes of all pictures of a page: as text they are a third more.
const MOST_BYTES: usize = 750_000;

/// A photo, and what is told of it.
pub(in crate::report) struct Photo {
    pub(in crate::report) name: String,
    /// None where it is no picture, or the page has no room for more.
    pub(in crate::report) picture: Option<Thumbnail>,
    /// Where in the photo that lies which speaks for what was predicted, as a second picture.
    pub(in crate::report) heat_map: Option<Thumbnail>,
    pub(in crate::report) caption: Markup,
}

/// Makes the pictures of a page, as many as it has room for.
pub(in crate::report) struct Album<'a> {
    dataset: &'a Dataset,
    /// Whether what the model takes is seen as a picture: no sequences are.
    has_pictures: bool,
    left: Cell<usize>,
    explainer: Option<Explainer>,
}

impl<'a> Album<'a> {
    pub(in crate::report) fn new(dataset: &'a Dataset, has_pictures: bool) -> Self {
        Self { dataset, has_pictures, left: Cell::new(MOST_BYTES), explainer: None }
    }

    /// With heat maps of this model, where it has layers with places in the image.
    pub(in crate::report) fn explained(self, model: &Model, pipeline: &Pipeline) -> Self {
        let explainer = self.has_pictures.then(|| Explainer::new(model, None, pipeline.clone()).ok());
        Self { explainer: explainer.flatten(), ..self }
    }

    /// [`Album::photos`], each beside where the model sees the class that it takes it for.
    pub(in crate::report) fn explained_photos(&self, told: Vec<(&Example, Markup)>) -> Vec<Photo> {
        let examples: Vec<&Example> = told.iter().map(|(example, _)| *example).collect();
        let mut photos = self.photos(told);
        if let Some(explainer) = &self.explainer {
            let maps: Vec<Option<Thumbnail>> =
                examples.par_iter().map(|example| heat_map(explainer, example)).collect();
            for (photo, map) in photos.iter_mut().zip(maps) {
                photo.heat_map = map.filter(|map| photo.picture.is_some() && self.takes(map));
            }
        }
        photos
    }

    /// Whether there is room for one more picture.
    fn takes(&self, picture: &Thumbnail) -> bool {
        let left = self.left.get().checked_sub(picture.bytes.len());
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Photos with what is told of each.
    pub(in crate::report) fn photos(&self, told: Vec<(&Example, Markup)>) -> Vec<Photo> {
        let examples: Vec<&Example> = told.iter().map(|(example, _)| *example).collect();
        let pictures = self.pictures(&examples);
        let photo = |((example, caption), picture): ((&Example, Markup), Option<Thumbnail>)| Photo {
            name: example.name.clone(),
            picture,
            heat_map: None,
            caption,
        };
        told.into_iter().zip(pictures).map(photo).collect()
    }

    fn pictures(&self, examples: &[&Example]) -> Vec<Option<Thumbnail>> {
        if !self.has_pictures {
            return vec![None; examples.len()];
        }
        // a file that was there for the training and is not any more has no picture
        let made: Vec<Option<Thumbnail>> =
            examples.par_iter().map(|example| self.dataset.thumbnail(example, SIDE).ok().flatten()).collect();
        made.into_iter().map(|picture| picture.filter(|picture| self.takes(picture))).collect()
    }
}

/// A heat map over the photo of a file; none where nothing speaks for the class.
fn heat_map(explainer: &Explainer, example: &Example) -> Option<Thumbnail> {
    let picture = explainer.open_picture(&Picture::of(example)?).ok()?;
    let map = explainer.explain(&picture, &example.name, None).ok().filter(|map| !map.is_empty())?;
    Thumbnail::of(map.overlay(&picture, OPACITY).ok()?, SIDE, &example.name).ok()
}

/// Photos beside each other.
pub(in crate::report) fn gallery(photos: &[Photo]) -> Markup {
    html! { @if !photos.is_empty() { ul.gallery { @for photo in photos { li { (card(photo)) } } } } }
}

/// Photos that belong together, a group beside the other.
pub(in crate::report) fn groups(groups: &[(Vec<Photo>, Markup)]) -> Markup {
    html! {
        ul.groups {
            @for (photos, caption) in groups {
                li {
                    div.group { @for photo in photos { (card(photo)) } }
                    p.note { (caption) }
                }
            }
        }
    }
}

fn card(photo: &Photo) -> Markup {
    html! {
        figure.card {
            div.pictures {
                @match &photo.picture {
                    Some(picture) => { (image(picture, &photo.name)) }
                    None => { div.blank { "no picture" } }
                }
                @if let Some(heat_map) = &photo.heat_map {
                    (image(heat_map, &format!("Heat map of {}", photo.name)))
                }
            }
            figcaption {
                (photo.caption)
                p.file { (name(&photo.name)) }
            }
        }
    }
}

fn image(picture: &Thumbnail, told: &str) -> Markup {
    let Thumbnail { width, height, media_type, bytes } = picture;
    let address = format!("data:{media_type};base64,{}", STANDARD.encode(bytes));
    // pixels of pictures for small networks are seen as such
    let class = (*width.max(height) <= 64).then_some("pixels");
    html! { img src=(address) width=(width) height=(height) alt=(visible(told)) class=[class]; }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(name: &str, heat_map: Option<Thumbnail>) -> Photo {
        let picture =
            Some(Thumbnail { width: 28, height: 28, media_type: "image/png", bytes: vec![1, 2, 3] });
        Photo { name: name.to_owned(), picture, heat_map, caption: html! {} }
    }

    #[test]
    fn a_heat_map_is_a_second_picture_and_none_leaves_nothing() {
        let name = "\"><script>alert(1)</script>.png";
        let page = gallery(&[photo(name, None)]).into_string();
        assert_eq!(page.matches("<img").count(), 1);
        assert!(!page.contains("<script") && !page.contains("Heat map"), "{page}");
        assert!(page.contains("data:image/png;base64,AQID") && page.contains("pixels"), "{page}");
        let map = Thumbnail { width: 144, height: 90, media_type: "image/jpeg", bytes: vec![0] };
        let page = gallery(&[photo(name, Some(map))]).into_string();
        assert_eq!(page.matches("<img").count(), 2);
        assert!(page.contains("Heat map of "), "{page}");
    }
}
