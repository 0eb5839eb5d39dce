//! Numbers in JSON that come back bit for bit, those that are no finite numbers too: as the whole number that their bits are.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that has bits.
pub(in crate::fit) trait Bits: Copy {
    fn bits(self) -> u64;
    fn of_bits(bits: u64) -> Self;
}

impl Bits for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }

    fn of_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

impl Bits for f32 {
    fn bits(self) -> u64 {
        self.to_bits().into()
    }

    fn of_bits(bits: u64) -> Self {
        Self::from_bits(bits as u32)
    }
}

pub(in crate::fit) fn serialize<T: Bits, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(value.bits())
}

pub(in crate::fit) fn deserialize<'de, T: Bits, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    u64::deserialize(deserializer).map(T::of_bits)
}

/// A number in a list.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::fit) struct Exact(#[serde(with = "self")] pub(in crate::fit) f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back() {
        for value in [0.1 + 0.2, -0.0, f64::MIN_POSITIVE / 3.0, f64::INFINITY, f64::NAN, 1.0 / 3.0] {
            let text = serde_json::to_string(&Exact(value)).expect("written");
            let back: Exact = serde_json::from_str(&text).expect("read");
            assert_eq!(back.0.to_bits(), value.to_bits());
        }
    }
}
