//! JSON as Python writes it: with `Infinity` and `NaN`, which JSON has no form for. In a [`Value`] they are strings that begin
//! with a mark that no name or path has.

use serde_json::Value;

const MARK: &str = "\u{1}";
const NOT_FINITE: [(&str, f64); 3] =
    [("-Infinity", f64::NEG_INFINITY), ("Infinity", f64::INFINITY), ("NaN", f64::NAN)];

/// Reads what Python's `json` wrote.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    if !NOT_FINITE.iter().any(|(name, _)| text.contains(name)) {
        return serde_json::from_str(text);
    }
    let mut marked = String::with_capacity(text.len() + 64);
    let (mut rest, mut in_string) = (text, false);
    while let Some(next) = rest.chars().next() {
        let name = NOT_FINITE.iter().map(|(name, _)| *name).find(|name| !in_string && rest.starts_with(name));
        let len = match (name, next) {
            (Some(name), _) => {
                marked.push_str(&format!("\"\\u0001{name}\""));
                rest = &rest[name.len()..];
                continue;
            }
            // what is escaped ends no string
            (None, '\\') => next.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, '"') => {
                in_string = !in_string;
                1
            }
            (None, other) => other.len_utf8(),
        };
        marked.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    serde_json::from_str(&marked)
}

/// Writes what Python's `json` reads.
pub fn text(value: &Value) -> String {
    let text = value.to_string();
    NOT_FINITE.iter().fold(text, |text, (name, _)| text.replace(&format!("\"\\u0001{name}\""), name))
}

/// The number that a value is.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => {
            let name = text.strip_prefix(MARK)?;
            NOT_FINITE.iter().find(|(own, _)| *own == name).map(|(_, number)| *number)
        }
        value => value.as_f64(),
    }
}

/// A number as it is written in decimal, not as its binary digits: `0.001`, not `0.0010000000474974513`.
pub fn of_number(number: f32) -> Value {
    let same =
        |other: f64| (other as f32).to_bits() == number.to_bits() || (number.is_nan() && other.is_nan());
    match NOT_FINITE.iter().find(|(_, other)| same(*other)) {
        Some((name, _)) => Value::String(format!("{MARK}{name}")),
        None => number.to_string().parse::<f64>().map_or(Value::Null, Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_that_json_has_no_form_for_are_read_and_written_as_python_does() {
        let text_of = r#"{"a":[-Infinity,1.5],"NaN \" Infinity":"-Infinity","b":Infinity,"c":NaN}"#;
        let read = parse(text_of).expect("valid");
        assert_eq!(number(&read["a"][0]), Some(f64::NEG_INFINITY));
        assert_eq!(number(&read["a"][1]), Some(1.5));
        assert_eq!(number(&read["b"]), Some(f64::INFINITY));
        assert!(number(&read["c"]).is_some_and(f64::is_nan));
        assert_eq!(read["NaN \" Infinity"], "-Infinity");
        assert_eq!(number(&json!("Infinity")), None, "a text is no number");
        assert_eq!(parse(&text(&read)).expect("valid"), read);
        assert!(text(&read).contains("[-Infinity,1.5]"));
        assert!(parse("[Infinity").is_err() && parse("[\"Infinity\\").is_err());
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        assert_eq!(of_number(0.001), json!(0.001));
        assert_eq!(
            [of_number(f32::NEG_INFINITY), of_number(f32::NAN)].map(|value| text(&value)),
            ["-Infinity", "NaN"]
        );
        assert_eq!(number(&of_number(f32::INFINITY)), Some(f64::INFINITY));
    }
}
