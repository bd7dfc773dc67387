//! The catalog of the tests, which does not depend on the calendar.

use super::FakeProvider;

/// Two vendors on one fake provider, a local one, one that is an entry alone, and every kind of purpose.
pub(crate) fn catalog(provider: &FakeProvider) -> String {
    let openai = provider.base_url();
    let anthropic = provider.anthropic_base_url();
    let anthropic = anthropic.as_str().trim_end_matches('/');
    format!(
        r#"
version = "test-1"
default_model = "small"
[providers.openai]
protocol = "openai"
hosts = ["{openai}", "http://localhost:{port}/v1"]
headers = ["OpenAI-Organization", "OpenAI-Project"]
default_model = "small"
byo_fee = {{ unit = "USD", micros_per_call = 9 }}
[providers.anthropic]
protocol = "anthropic"
hosts = ["{anthropic}"]
default_model = "haiku"
[providers.groq]
protocol = "openai"
hosts = ["{openai}"]
byo_fee = {{ unit = "USD", micros_per_call = 5 }}
[providers.home]
protocol = "local"
hosts = ["http://localhost:1/v1"]
default_model = "llama"
[models.small]
provider = "openai"
ids = [{{ id = "small-2030", aliases = ["small-latest"] }}, {{ id = "small-2029", successor = "small-2030" }}]
credits = {{ unit = "credits", micros_per_call = 1_000_000 }}
byo_fee = {{ unit = "USD", micros_per_call = 1_000 }}
[models.large]
provider = "openai"
ids = [{{ id = "large-2030" }}]
credits = {{ unit = "credits", micros_per_call = 10_000_000 }}
byo_fee = {{ unit = "USD", micros_per_call = 2_000 }}
[models.old]
provider = "openai"
ids = [{{ id = "old-2028", retires = 2028-01-01, successor = "small" }}]
credits = {{ unit = "credits", micros_per_call = 1 }}
[models.haiku]
provider = "anthropic"
ids = [{{ id = "haiku-1" }}]
credits = {{ unit = "credits", micros_per_call = 2_000_000 }}
[models.llama]
provider = "home"
ids = [{{ id = "llama-1" }}]
[purposes.training]
payer = "free"
[purposes.embedding]
payer = "platform"
"#,
        port = provider.port()
    )
}
