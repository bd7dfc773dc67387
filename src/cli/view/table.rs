//! Rows of cells as aligned columns.

use std::fmt;

#[derive(Default)]
pub(in crate::cli) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(in crate::cli) fn new(headings: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(headings.iter().map(ToString::to_string));
        table
    }

    /// Adds a row.
    pub(in crate::cli) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // Without the dash, the next cell would seem to be in this column.
        let cells = cells.into_iter().map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        });
        self.rows.push(cells.collect());
    }

    /// The table as text, or `text` if it has no row below its headings.
    pub(in crate::cli) fn or_if_empty(&self, text: &str) -> String {
        if self.rows.len() > 1 {
            self.to_string()
        } else {
            text.to_owned()
        }
    }

    /// Adds a name and its value, unless the value is empty.
    pub(in crate::cli) fn field(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.row([name.to_owned(), value]);
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_are_dashes() {
        let mut table = Table::new(&["PROVIDER", "KEY"]);
        table.row(["openai".to_owned(), "…wxyz".to_owned()]);
        table.row(["a-long-provider".to_owned(), String::new()]);
        table.field("nothing", "");
        assert_eq!(
            table.to_string(),
            "PROVIDER         KEY\nopenai           …wxyz\na-long-provider  -\n"
        );
    }
}
