//! All output of byokd, and the search through it.

use super::needle::{ENCODINGS, Needle, Search};

/// The outputs, each with its way out.
#[derive(Default)]
pub(super) struct Captured {
    said: Vec<(String, Vec<u8>)>,
    calls: usize,
}

impl Captured {
    /// Adds a text or bytes that left this way.
    pub(super) fn add(&mut self, way: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.said.push((way.into(), bytes.into()));
    }

    /// The outcome of a call: all fields of an answer, or all of a status.
    pub(super) fn answer<T: prost::Message>(
        &mut self,
        way: &str,
        outcome: Result<tonic::Response<T>, tonic::Status>,
    ) -> Option<T> {
        self.calls += 1;
        match outcome {
            Ok(answer) => {
                self.add(
                    format!("{way}: metadata"),
                    format!("{:?}", answer.metadata()),
                );
                let answer = answer.into_inner();
                self.add(format!("{way}: answer"), answer.encode_to_vec());
                Some(answer)
            }
            Err(status) => {
                self.add(format!("{way}: status"), format!("{status:?} {status}"));
                self.add(format!("{way}: message"), status.message());
                self.add(format!("{way}: details"), status.details());
                None
            }
        }
    }

    /// Searches for every secret; panics with each way by which one leaked.
    pub(super) fn search(&self, needles: &[Needle], what: &str) {
        let (search, mut found, mut bytes) = (Search::of(needles), Vec::new(), 0);
        for (way, said) in &self.said {
            bytes += said.len();
            if let Some((whose, encoding, around)) = search.first_in(said) {
                found.push(format!("{whose} ({encoding}) in {way}: {around:?}"));
            }
        }
        let pieces: usize = needles.iter().map(|needle| needle.pieces().len()).sum();
        println!(
            "CANARY: {what}: {} calls, {} ways out searched, {bytes} bytes, {} secrets in {} encodings \
             ({pieces} pieces), {} hits",
            self.calls,
            self.said.len(),
            needles.len(),
            ENCODINGS.len(),
            found.len()
        );
        assert!(
            found.is_empty(),
            "{} hits:\n{}",
            found.len(),
            found.join("\n")
        );
    }
}
