//! Settings that are written like calls: `name`, `name(0.3)`, `name(128,relu)`, `name(key=value)`.

use std::str::FromStr;

/// A name and what stands in parentheses behind it.
///
/// ```
/// let spec = frostline_graph::Spec::parse("sgd(momentum=0.9)")?;
/// assert_eq!((spec.name, spec.pairs()?), ("sgd", vec![("momentum", "0.9")]));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Spec<'a> {
    /// All of it.
    pub text: &'a str,
    /// Before the parenthesis.
    pub name: &'a str,
    /// Between commas, without blanks around.
    pub arguments: Vec<&'a str>,
}

impl<'a> Spec<'a> {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// Parentheses are unbalanced or nested.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let text = text.trim();
        let (name, rest) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or("a `(` without a `)`")?),
            None => (text, ""),
        };
        if name.contains(')') || rest.contains(['(', ')']) {
            return Err("a `)` without a `(`".to_owned());
        }
        let arguments =
            if rest.trim().is_empty() { Vec::new() } else { rest.split(',').map(str::trim).collect() };
        Ok(Self { text, name: name.trim(), arguments })
    }

    /// Reads several, separated by any of these characters outside of parentheses.
    pub fn parse_all(text: &'a str, separators: &[char]) -> Result<Vec<Self>, String> {
        let mut depth = 0usize;
        let mut unopened = false;
        let words = text.split(|character| {
            match character {
                '(' => depth += 1,
                ')' if depth == 0 => unopened = true,
                ')' => depth -= 1,
                _ => {}
            }
            depth == 0 && separators.contains(&character)
        });
        let words: Vec<&str> = words.filter(|word| !word.trim().is_empty()).collect();
        match (depth, unopened) {
            (_, true) => Err("a `)` without a `(`".to_owned()),
            (0, _) => words.into_iter().map(Self::parse).collect(),
            _ => Err("a `(` without a `)`".to_owned()),
        }
    }

    /// The argument at a place, or `default` if it is absent.
    ///
    /// # Errors
    ///
    /// It cannot be read, or there are more than `most`.
    pub fn argument<T: FromStr>(&self, index: usize, default: T, most: usize) -> Result<T, String> {
        if self.arguments.len() > most {
            return Err(format!("`{}` takes at most {most} numbers", self.text));
        }
        match self.arguments.get(index) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("`{text}` in `{}` is no number", self.text)),
        }
    }

    /// Arguments as `key=value`.
    pub fn pairs(&self) -> Result<Vec<(&'a str, &'a str)>, String> {
        let pair = |argument: &&'a str| {
            let (key, value) =
                argument.split_once('=').ok_or_else(|| format!("`{argument}` is no `key=value`"))?;
            Ok((key.trim(), value.trim()))
        };
        self.arguments.iter().map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        let spec = Spec::parse("sgd(momentum=0.9, nesterov=true)").expect("a call");
        assert_eq!(spec.name, "sgd");
        assert_eq!(spec.pairs(), Ok(vec![("momentum", "0.9"), ("nesterov", "true")]));
        let all = Spec::parse_all("gap dropout(0.3)  dense( 128, relu )", &[' ']).expect("three calls");
        assert_eq!(all.iter().map(|spec| spec.name).collect::<Vec<_>>(), ["gap", "dropout", "dense"]);
        assert_eq!(all[2].arguments, ["128", "relu"]);
        assert_eq!(all[1].argument(0, 0.5, 1), Ok(0.3));
        assert_eq!(all[0].argument(0, 0.5, 1), Ok(0.5));
    }

    #[test]
    fn a_parenthesis_alone_is_an_error() {
        for text in ["a(1", "a 1)", "a((1)", "a(1)b", "a)("] {
            assert!(Spec::parse_all(text, &[' ']).is_err(), "{text}");
        }
        assert!(Spec::parse("a(1)").expect("a call").argument(0, 0usize, 0).is_err());
    }
}
