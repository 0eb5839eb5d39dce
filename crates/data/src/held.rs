//! Pictures that are in memory: what a file holds, or pixels.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::array::hash_of;
use super::image::Image;
use super::{DataError, picture_size_of};

/// A picture in memory. A copy is cheap; two are equal where they are one and the same.
#[derive(Clone)]
pub struct HeldPicture(Arc<Held>);

pub(super) enum Held {
    Encoded(Box<dyn AsRef<[u8]> + Send + Sync>),
    Decoded(Image),
}

impl HeldPicture {
    /// What a file holds: JPEG, PNG, WebP, BMP, GIF or TIFF.
    pub fn encoded(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Held::Encoded(Box::new(bytes))))
    }

    /// Pixels of 0 to 255.
    pub fn decoded(image: Image) -> Self {
        Self(Arc::new(Held::Decoded(image)))
    }

    /// `[height, width]` of the upright picture; of what a file holds by its header. `name` is for messages.
    ///
    /// Errors: what is encoded is no picture of a kind that is read.
    pub fn size(&self, name: &str) -> Result<[usize; 2], DataError> {
        match self.held() {
            Held::Encoded(bytes) => picture_size_of((**bytes).as_ref(), name),
            Held::Decoded(image) => Ok([image.height, image.width]),
        }
    }

    pub(super) fn held(&self) -> &Held {
        &self.0
    }

    /// The hash of its content: that of a file with these bytes, or of a row of an array with these pixels.
    pub(super) fn content_hash(&self) -> blake3::Hash {
        match self.held() {
            Held::Encoded(bytes) => blake3::hash((**bytes).as_ref()),
            Held::Decoded(image) => hash_of(&[image.height, image.width, image.channels], &image.pixels),
        }
    }
}

impl PartialEq for HeldPicture {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for HeldPicture {}

impl Hash for HeldPicture {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for HeldPicture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.held() {
            Held::Encoded(bytes) => write!(formatter, "HeldPicture({} bytes)", (**bytes).as_ref().len()),
            Held::Decoded(image) => write!(formatter, "HeldPicture({} x {})", image.height, image.width),
        }
    }
}
