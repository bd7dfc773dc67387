//! A catalog's text: what is shipped, and every fault.

use time::macros::date;

use super::*;

const GOOD: &str = r#"
version = "t"
default_model = "m"
[providers.p]
protocol = "openai"
hosts = ["https://api.example/v1"]
default_model = "m"
[models.m]
provider = "p"
ids = [{ id = "m-1", aliases = ["m"], retires = 2030-01-14 }]
credits = { unit = "credits", micros_per_call = 1 }
"#;

#[test]
fn the_shipped_catalog_is_good_and_offers_what_is_promised() {
    let catalog = Catalog::embedded().unwrap();
    for family in [
        "gpt-4o-mini",
        "gpt-4o",
        "claude-haiku",
        "claude-sonnet",
        "gpt-6-luna",
        "local-llama",
    ] {
        assert!(catalog.find(family).is_some(), "{family}");
    }
    // The default outlives what its vendor has announced to retire.
    let default = catalog.find(&catalog.default_model).unwrap().family();
    assert!(default.ids.iter().any(|id| id.retires.is_none()));
    let mini = catalog.find("gpt-4o-mini").unwrap().family();
    assert_eq!(mini.ids[0].retires, Some(date!(2027 - 01 - 14)));
    assert!(
        !mini.ids[0].retired(date!(2027 - 01 - 13)) && mini.ids[0].retired(date!(2027 - 01 - 14))
    );
    assert_eq!(mini.ids[0].successor.as_deref(), Some("gpt-6-luna"));
}

#[test]
fn another_provider_is_an_entry_alone() {
    let text = format!(
        "{GOOD}\n[providers.groq]\nprotocol = \"openai\"\nhosts = [\"https://api.groq.com/openai/v1\"]\n"
    );
    let catalog = Catalog::parse(&text).unwrap();
    assert!(
        catalog
            .providers
            .contains_key(&ProviderName::parse("groq").unwrap())
    );
}

#[test]
fn every_fault_is_told_with_its_place() {
    for (find, replace, fault) in [
        ("version = \"t\"", "version = \"\"", "version: is empty"),
        (
            "default_model = \"m\"\n[p",
            "default_model = \"x\"\n[p",
            "default_model: is not a family",
        ),
        ("protocol = \"openai\"", "protocol = \"smoke\"", "smoke"),
        (
            "hosts = [\"https://api.example/v1\"]",
            "hosts = []",
            "at least one base URL",
        ),
        (
            "https://api.example/v1",
            "https://api.example/v1/",
            "without trailing slash",
        ),
        (
            "https://api.example/v1",
            "https://u:p@api.example/v1",
            "scheme, host and path only",
        ),
        (
            "https://api.example/v1",
            "ftp://api.example/v1",
            "scheme, host and path only",
        ),
        (
            "provider = \"p\"",
            "provider = \"q\"",
            "not under [providers]",
        ),
        ("credits = ", "byo_fee = ", "needs `credits`"),
        ("micros_per_call = 1", "micros_per_call = -1", "negative"),
        ("aliases = [\"m\"]", "aliases = [\"m-1\"]", "named twice"),
        (
            "retires = 2030-01-14",
            "retires = 2030-01-14T00:00:00",
            "must be a date",
        ),
        (
            "protocol = \"openai\"",
            "protocol = \"local\"",
            "never metered",
        ),
        (
            "protocol = \"openai\"",
            "protocol = \"openai\"\nheaders = [\"Authorization\"]",
            "may not be set",
        ),
        (
            "[models.m]",
            "[purposes.reply]\npayer = \"free\"\n[models.m]",
            "follows the toggle",
        ),
        (
            "[models.m]",
            "[purposes.x]\npayer = \"stranger\"\n[models.m]",
            "stranger",
        ),
        ("[models.m]", "[other]\n[models.m]", "other"),
    ] {
        let text = GOOD.replacen(find, replace, 1);
        assert_ne!(text, GOOD, "{find}");
        let faults = Catalog::parse(&text).unwrap_err().to_string();
        assert!(faults.contains(fault), "{fault:?} not in {faults}");
    }
}
