//! The rules that several targets judge by.
//!
//! Not here: any code of byokd. A judge that used the code it judges would agree with its mistakes.

use byokd::domain::error::Error;

/// Texts do not share a piece of this length by chance.
const TOO_LONG_BY_CHANCE: usize = 6;

/// The sources of byokd's own error texts.
const OWN_WORDS: [&str; 9] = [
    include_str!("../src/domain/error.rs"),
    include_str!("../src/domain/names.rs"),
    include_str!("../src/domain/caller.rs"),
    include_str!("../src/domain/secret.rs"),
    include_str!("../src/grpc/parse.rs"),
    include_str!("../src/identity.rs"),
    include_str!("../src/identity/signer.rs"),
    include_str!("../src/identity/mint.rs"),
    include_str!("../src/egress.rs"),
];

/// All texts of an error: for its caller, and for the log.
pub fn texts(error: &Error) -> String {
    let mut texts = format!(
        "{error} {error:?} {} {:?}",
        error.message(),
        error.metadata()
    );
    let mut cause: Option<&dyn std::error::Error> = match error.cause() {
        Some(cause) => Some(cause),
        None => None,
    };
    while let Some(inner) = cause {
        texts.push_str(&format!(" {inner} {inner:?}"));
        cause = inner.source();
    }
    texts
}

/// Panics if `texts` holds a piece of `input` that is not byokd's own wording.
pub fn never_repeats(texts: &str, input: &str) {
    let characters: Vec<char> = input.chars().collect();
    for window in characters.windows(TOO_LONG_BY_CHANCE) {
        let piece: String = window.iter().collect();
        if texts.contains(&piece) {
            // `Debug` puts quotation marks around texts.
            let own = own_wording().contains(piece.trim_matches('"'));
            assert!(own, "an error repeats its input: {piece:?} in {texts:?}");
        }
    }
}

/// The sources, with texts that span two lines joined.
fn own_wording() -> &'static str {
    static WORDS: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    WORDS.get_or_init(|| {
        let mut words = String::new();
        for line in OWN_WORDS.iter().flat_map(|source| source.lines()) {
            let line = line.trim_start();
            match line.strip_suffix('\\') {
                Some(begun) => words.push_str(begun),
                None => {
                    words.push_str(line);
                    words.push('\n');
                }
            }
        }
        words
    })
}
