//! How answers reach the reader: data on standard output, everything else on standard error.
//!
//! An answer is `Serialize` for programs and `Display` for people. A reader that has gone away (a closed pipe) has seen
//! enough, and that is success. What a terminal could take for a command is made visible before it is written.
//!
//! Absent: colours, and any knowledge of what is shown.

use std::{
    fmt,
    io::{self, Write},
};

use clap::ValueEnum;
use serde::Serialize;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// Writes an answer to standard output.
pub(super) fn answer<A: Serialize + fmt::Display>(format: Format, answer: &A) -> io::Result<()> {
    print(&match format {
        Format::Text => answer.to_string(),
        Format::Json => serde_json::to_string_pretty(answer)? + "\n",
    })
}

/// Writes text to standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    deliver(&mut io::stdout().lock(), text)
}

/// Writes text to standard error. A failure is ignored, because there is no other place to report it.
pub(super) fn aside(text: &str) {
    let _ = deliver(&mut io::stderr().lock(), text);
}

fn deliver(to: &mut impl Write, text: &str) -> io::Result<()> {
    match to
        .write_all(visible(text).as_bytes())
        .and_then(|()| to.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// A model's name comes from a provider and may hold anything, also what steers a terminal.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Rows of cells, shown as aligned columns.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(headings.iter().map(ToString::to_string));
        table
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // An empty cell would read as if the next one stood in its column.
        let cells = cells.into_iter().map(|cell| {
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        });
        self.rows.push(cells.collect());
    }

    /// Adds a name and its value, unless that is empty.
    pub(super) fn field(&mut self, name: &str, value: impl Into<String>) {
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
    fn columns_are_aligned_and_empty_cells_seen() {
        let mut table = Table::new(&["PROVIDER", "KEY"]);
        table.row(["openai".to_owned(), "…wxyz".to_owned()]);
        table.row(["a-long-provider".to_owned(), String::new()]);
        table.field("nothing", "");
        assert_eq!(
            table.to_string(),
            "PROVIDER         KEY\nopenai           …wxyz\na-long-provider  -\n"
        );
    }

    #[test]
    fn a_terminal_is_not_steered_and_a_closed_pipe_is_fine() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(visible("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\n");
        assert!(deliver(&mut Closed, "x").is_ok());
    }
}
