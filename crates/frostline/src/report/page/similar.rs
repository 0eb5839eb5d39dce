//! The photos that are most like one, as a page.

use super::frame::{Frame, Section, code, name};
use super::photos::{Photo, gallery};
use frostline_data::Thumbnail;
use maud::{Markup, html};

/// A photo on the page.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// What it is labelled.
    pub about: Option<String>,
    /// How far it is from the one that others are compared with.
    pub distance: Option<f64>,
    /// A small picture of it, where it could be read.
    pub picture: Option<Thumbnail>,
}

/// What the page tells.
#[derive(Clone, Debug)]
pub struct SimilarPage {
    /// The photo that others are compared with.
    pub query: Shown,
    /// The others, the nearest first.
    pub nearest: Vec<Shown>,
    /// How many photos were compared.
    pub images: usize,
    /// The layer whose output they were compared by.
    pub layer: String,
    /// How distance was measured.
    pub metric: String,
}

impl SimilarPage {
    /// The longer side of the pictures, in pixels.
    pub const SIDE: usize = 240;

    /// The page.
    pub fn html(&self) -> String {
        let photos: Vec<Photo> = self.nearest.iter().map(photo).collect();
        let frame = Frame {
            kind: "Similar photos",
            about: self.query.name.clone(),
            subtitle: html! {
                "Compared with " (self.images) " photos by their features at " (code(&self.layer)) ", " (self.metric) " distance"
            },
            answer: gallery(&[photo(&self.query)]),
            sections: vec![Section::new("nearest", "The nearest", gallery(&photos))],
        };
        frame.page()
    }
}

fn photo(shown: &Shown) -> Photo {
    Photo {
        name: shown.name.clone(),
        picture: shown.picture.clone(),
        heat_map: None,
        caption: caption(shown),
    }
}

fn caption(shown: &Shown) -> Markup {
    html! {
        @if let Some(about) = &shown.about { p.said { b { (name(about)) } } }
        @if let Some(distance) = shown.distance { p { "distance " (format!("{distance:.4}")) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_nothing_is_loaded() {
        let evil = "<script>alert(1)</script>";
        let picture = Thumbnail { width: 4, height: 4, media_type: "image/png", bytes: vec![7; 8] };
        let shown = |distance| Shown {
            name: format!("{evil}/\"a\".jpg"),
            about: Some(evil.to_owned()),
            distance,
            picture: Some(picture.clone()),
        };
        let (layer, metric) = (evil.to_owned(), "cosine".to_owned());
        let page =
            SimilarPage { query: shown(None), nearest: vec![shown(Some(0.25))], images: 3, layer, metric };
        let html = page.html();
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(html.contains("default-src 'none'") && html.contains("distance 0.2500"));
        assert_eq!(html.matches("src=\"").count(), html.matches("src=\"data:image/png;base64,").count());
    }
}
