//! Names in tables that people open in a spreadsheet, where a cell that begins like a formula is computed.

use std::borrow::Cow;

/// What formulas begin with, and the mark that takes that meaning away: of a cell that begins with one of these, the mark in front
/// tells that it is text, and no more. A name that begins with the mark itself gets one, too, so that without the first mark every name is
/// what it was.
const BEGINS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', MARK];
const MARK: char = '\'';

/// A name as a cell, in which no spreadsheet finds a formula.
pub fn spreadsheet_safe(name: &str) -> Cow<'_, str> {
    match name.starts_with(BEGINS) {
        true => format!("{MARK}{name}").into(),
        false => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_cell_begins_a_formula_and_each_name_has_a_cell_of_its_own() {
        let names =
            ["=1+1", "'=1+1", "''", "'", "", "+x", "-x", "@SUM(A1)", "\tx", "\rx", "x=", "a/b.jpg", "1-2"];
        let cells: Vec<Cow<'_, str>> = names.iter().map(|name| spreadsheet_safe(name)).collect();
        for (name, cell) in names.iter().zip(&cells) {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
            assert_eq!(cell.strip_prefix(MARK).unwrap_or(cell), *name);
        }
        assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
