//! Log lines on standard error.
//!
//! Invariants: data goes to standard output, so lines go to standard error; a line that cannot be written is lost, and
//! nothing else. No line is written for a call that succeeds. Whatever the filter says, only byokd itself logs below
//! DEBUG: what HTTP, TLS and database libraries say there is the bytes that they carry, with keys and tokens among them.
//!
//! Not here: the cause of every line. That of a failed call says its trace id.

use tracing::{Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    filter::filter_fn,
    fmt::MakeWriter,
    layer::{Layer as _, SubscriberExt as _},
    registry::LookupSpan,
};

use super::trace::TARGET;
use crate::config::{LogConfig, LogFormat};

/// Where lines go, and more may be added to.
pub(super) trait Log: Subscriber + for<'s> LookupSpan<'s> + Send + Sync {}
impl<S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync> Log for S {}

/// Lines as the configuration wants them; where calls are traced, the filter lets their spans through.
///
/// One filter is for everybody. A filter for each layer remembers its last answer for the next event, and libraries that
/// ask whether they may log, and then do not, would take that event's place.
pub(super) fn subscriber<W>(
    config: &LogConfig,
    traced: bool,
    writer: W,
    colours: bool,
) -> impl Log + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let mut filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    if let Some(spans) = traced
        .then(|| format!("{TARGET}=info").parse().ok())
        .flatten()
    {
        filter = filter.add_directive(spans);
    }
    let no_bytes = filter_fn(|event| *event.level() <= Level::DEBUG || is_ours(event.target()));
    let lines = tracing_subscriber::fmt::layer()
        // The layer would report a failed write on standard error and panic if that fails too: a full disk would end byokd.
        .log_internal_errors(false)
        .with_ansi(colours)
        .with_writer(writer);
    let lines = match config.format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(no_bytes)
        .with(lines)
}

fn is_ours(target: &str) -> bool {
    let below = target.strip_prefix(env!("CARGO_CRATE_NAME"));
    below.is_some_and(|below| below.is_empty() || below.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        let page = Page::default();
        let writer = page.clone();
        let config = LogConfig {
            format,
            filter: filter.to_owned(),
        };
        let log = subscriber(&config, false, move || writer.clone(), false);
        tracing::subscriber::with_default(log, || {
            tracing::trace!(target: "h2::codec", "bytes of h2");
            tracing::trace!(target: "byokdish", "bytes of a stranger");
            tracing::debug!(target: "h2::codec", "frames of h2");
            tracing::trace!(target: "byokd::provider", "steps of byokd");
            let _span =
                tracing::trace_span!(target: "rustls", "handshake", secret = "bytes of rustls")
                    .entered();
            tracing::info!(target: "byokd", "in a span");
        });
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn only_byokd_logs_below_debug_whatever_the_filter_says() {
        for format in [LogFormat::Pretty, LogFormat::Json] {
            for filter in [
                "trace",
                "info,h2=trace,rustls=trace,byokdish=trace,byokd=trace",
                "h2::codec=trace,trace",
            ] {
                let lines = logged(filter, format);
                assert!(!lines.contains("bytes of"), "{filter}: {lines}");
                assert!(
                    lines.contains("steps of byokd") && lines.contains("in a span"),
                    "{filter}: {lines}"
                );
            }
            assert!(logged("trace", format).contains("frames of h2"));
            assert!(!logged("info", format).contains("of "));
        }
    }
}
