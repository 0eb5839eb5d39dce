//! The photos that are most like one, as a page: one file, which loads nothing and runs nothing.

use super::thumbnail::data_url;
use frostline_data::Image;
use frostline_graph::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The longest side of the photos on the page, in pixels.
const NEAREST: usize = 240;
const QUERY: usize = 360;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c1c1c;--paper:#fff;--quiet:#555;--line:#ddd;--card:#f6f8fa}
@media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#16181b;--quiet:#a9b0b7;--line:#363b41;--card:#1f2327}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:75rem;margin:0 auto;padding:1rem}
h1{font-size:1.4rem;margin:.5rem 0}h2{font-size:1.1rem;margin:1.5rem 0 .6rem}
p{color:var(--quiet);margin:.3rem 0}code{overflow-wrap:anywhere}
ol{list-style:none;display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.8rem;padding:0;margin:0}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.4rem;overflow:hidden}
li figure{height:100%}
figure.query{max-width:22.5rem;margin-top:.8rem}
img{display:block;width:100%;height:9.5rem;object-fit:contain;background:var(--paper)}
figure.query img{height:auto;max-height:22.5rem}
.none{height:9.5rem;display:grid;place-items:center;color:var(--quiet)}
figcaption{padding:.4rem .6rem;font-size:.85rem;overflow-wrap:anywhere}
b{display:block}small{color:var(--quiet);font-variant-numeric:tabular-nums}
";

/// A photo on the page.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// What it is labelled.
    pub about: Option<String>,
    /// How far it is from the one that others are compared with.
    pub distance: Option<f64>,
    /// The picture itself, where it could be read.
    pub picture: Option<Image>,
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
    /// The page.
    ///
    /// # Errors
    ///
    /// A picture that cannot be shown.
    pub fn html(&self) -> Result<String> {
        let nearest =
            self.nearest.iter().map(|one| figure(one, NEAREST, None)).collect::<Result<Vec<_>>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { "Similar photos" }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { "Similar photos" }
                    p { "Compared with " (self.images) " photos by the features at " code { (self.layer) } ", " (self.metric) " distance." }
                    (figure(&self.query, QUERY, Some("query"))?)
                    h2 { "The nearest" }
                    ol { @for one in nearest { li { (one) } } }
                }
            }
        };
        Ok(page.into_string())
    }
}

fn figure(shown: &Shown, side: usize, class: Option<&str>) -> Result<Markup> {
    let picture = shown.picture.as_ref().map(|picture| data_url(picture, side)).transpose()?;
    Ok(html! {
        figure class=[class] {
            @match &picture {
                Some(url) => { img src=(url) alt=(shown.name); }
                None => { div.none { "no picture" } }
            }
            figcaption {
                @if let Some(about) = &shown.about { b { (about) } }
                (shown.name)
                @if let Some(distance) = shown.distance { br; small { "distance " (format!("{distance:.4}")) } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use frostline_data::Pixels;

    #[test]
    fn names_are_escaped_and_nothing_is_loaded() -> Result<()> {
        let evil = "<script>alert(1)</script>";
        let shown = |distance| Shown {
            name: format!("{evil}/\"a\".jpg"),
            about: Some(evil.to_owned()),
            distance,
            picture: Some(Image { height: 4, width: 900, channels: 1, pixels: Pixels::U8(vec![7; 3600]) }),
        };
        let (layer, metric) = (evil.to_owned(), "cosine".to_owned());
        let page =
            SimilarPage { query: shown(None), nearest: vec![shown(Some(0.25))], images: 3, layer, metric };
        let html = page.html()?;
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(html.contains("default-src 'none'") && html.contains("distance 0.2500"));
        assert_eq!(html.matches("src=\"").count(), html.matches("src=\"data:image/png;base64,").count());
        Ok(())
    }
}
