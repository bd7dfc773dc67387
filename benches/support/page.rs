//! The page `docs/performance.md`, which people write but for what stands between two marks: that is the program's.

use std::{fs, path::PathBuf, process::Command};

/// Ends every program's part.
const END: &str = "<!-- end of what was measured -->\n";

pub(crate) fn page() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "docs", "performance.md"]
        .iter()
        .collect()
}

/// Writes the part of the program of this name, after what says where it was measured, and its picture beside the page.
pub(crate) fn write(program: &str, how: &str, text: &str, picture: (&str, &str)) {
    let mut page_text = fs::read_to_string(page()).unwrap();
    let mark = format!("<!-- measured by `cargo bench --bench {program}` -->\n");
    let begin = page_text
        .find(&mark)
        .expect("the program's mark in docs/performance.md")
        + mark.len();
    let end = begin
        + page_text[begin..]
            .find(END)
            .expect("the end's mark in docs/performance.md");
    let stamp = format!(
        "\nCommit `{}`, {how}, {}.\n\n",
        said("git", &["describe", "--always", "--dirty", "--abbrev=10"]),
        // The machine, and what built it.
        said(
            "sh",
            &["-c", "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1; nproc --all; rustc --version"]
        )
        .replacen('\n', " × ", 1)
        .replace('\n', ", "),
    );
    page_text.replace_range(begin..end, &format!("{stamp}{text}\n"));
    fs::write(page(), page_text).unwrap();
    let (name, drawing) = picture;
    fs::write(page().with_file_name(name), drawing).unwrap();
    println!("written: {} and {name} beside it", page().display());
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
