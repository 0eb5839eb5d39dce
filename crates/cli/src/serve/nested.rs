//! Nested lists of numbers in JSON, read straight into a batch.

use super::queue::Batch;
use super::refusal::Refusal;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Reads nested lists.
///
/// Errors: lists of different lengths side by side, or what is no number.
pub(super) fn batch(text: &RawValue) -> Result<Batch, Refusal> {
    let mut nested = Nested::default();
    let mut json = serde_json::Deserializer::from_str(text.get());
    let read = Level { nested: &mut nested, depth: 0 }.deserialize(&mut json);
    read.map_err(|error| Refusal::bad(format!("the input cannot be read: {error}")))?;
    Ok(Batch { shape: nested.shape, values: nested.values })
}

/// Numbers as nested lists, of this shape.
pub(super) fn value(shape: &[usize], values: &[f32]) -> Value {
    match shape {
        [] => values.first().copied().map_or(Value::Null, Value::from),
        [_] => Value::from(values.to_vec()),
        [count, rest @ ..] => {
            let len = values.len() / (*count).max(1);
            values.chunks_exact(len.max(1)).map(|part| value(rest, part)).collect()
        }
    }
}

#[derive(Default)]
struct Nested {
    /// The lengths of the first list at each depth.
    shape: Vec<usize>,
    /// The depth of numbers, once one was met.
    depth: Option<usize>,
    values: Vec<f32>,
}

struct Level<'a> {
    nested: &'a mut Nested,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Level<'_> {
    fn number<E: Error>(self, value: f64) -> Result<(), E> {
        if *self.nested.depth.get_or_insert(self.depth) != self.depth {
            return Err(E::custom("numbers lie at different depths"));
        }
        self.nested.values.push(value as f32);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number or a list")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.nested.depth.is_some_and(|depth| depth <= self.depth) {
            return Err(A::Error::custom("a list lies beside numbers"));
        }
        let mut len = 0;
        if self.nested.shape.len() == self.depth {
            self.nested.shape.push(usize::MAX);
        }
        while list.next_element_seed(Level { nested: self.nested, depth: self.depth + 1 })?.is_some() {
            len += 1;
        }
        let first = &mut self.nested.shape[self.depth];
        if *first == usize::MAX {
            *first = len;
        }
        match *first == len {
            true => Ok(()),
            false => {
                Err(A::Error::custom(format!("lists of {first} and of {len} elements lie side by side")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Batch, Refusal> {
        batch(serde_json::from_str(text).expect("JSON"))
    }

    #[test]
    fn nested_lists_have_a_shape() {
        let found = read("[[[1, 2.5], [3, -4]], [[5, 6], [7, 8e-1]]]").expect("a batch");
        assert_eq!(found.shape, [2, 2, 2]);
        assert_eq!(found.values, [1.0, 2.5, 3.0, -4.0, 5.0, 6.0, 7.0, 0.8]);
        assert_eq!(value(&found.shape, &found.values)[1][0][1], 6.0);
        assert_eq!(read("[[], []]").expect("a batch").shape, [2, 0]);
        assert_eq!(read("7").expect("a number").shape, [0usize; 0]);
    }

    #[test]
    fn ragged_lists_are_refused() {
        for text in ["[[1, 2], [3]]", "[1, [2]]", "[[1], 2]", "[[1], []]", "[[], [1]]", "[\"a\"]", "[null]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
