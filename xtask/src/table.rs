//! Tables with aligned columns.

/// Formats rows as lines; the first two columns are text, the others numbers, which are aligned
/// right.
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
    fn numbers_are_right_aligned_and_lines_have_no_trailing_blanks() {
        let rows = [["a", "bb", "1", ""], ["ccc", "d", "10", "2"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(super::format(&rows), "a    bb   1\nccc  d   10  2\n");
    }
}
