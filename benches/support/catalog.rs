//! The catalog of the benches.

/// No server listens there.
pub(crate) const HOST: &str = "http://127.0.0.1:1/v1";

pub(crate) const CATALOG: &str = r#"
version = "bench"
default_model = "small"
[providers.openai]
protocol = "openai"
hosts = ["http://127.0.0.1:1/v1"]
headers = ["OpenAI-Organization", "OpenAI-Project"]
default_model = "small"
[models.small]
provider = "openai"
ids = [{ id = "small-2030-01-01", aliases = ["small-latest"] }]
credits = { unit = "credits", micros_per_call = 1_000_000 }
byo_fee = { unit = "USD", micros_per_call = 1_000 }
"#;
