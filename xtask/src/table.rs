//! Tables with aligned columns.

/// Returns rows as lines; the first two columns are text and the others numbers, which stand at
/// the right of their column.
pub(crate) fn format<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            line += &match column {
                0 => format!("{cell:<width$}"),
                1 => format!("  {cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_stand_right_and_lines_have_no_blanks_at_their_end() {
        let rows = [["a", "bb", "1", ""], ["ccc", "d", "10", "2"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(super::format(&rows), "a    bb   1\nccc  d   10  2\n");
    }
}
