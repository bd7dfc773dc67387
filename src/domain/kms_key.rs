//! Names of keys of the cloud KMS, as an operator writes them.
//!
//! Invariants: the form alone separates a KMS key name from other text. Other text is the path of a local
//! key file, or a mistake.
//!
//! Not here: whether the key exists.

use uuid::Uuid;

/// A key of the cloud KMS, by one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKeyName {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    KeyArn { region: String },
    AliasArn { region: String },
    Alias,
    Id,
}

impl KmsKeyName {
    /// An ARN of a key or an alias, `alias/…`, a UUID or `mrk-…`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let kind = if text.starts_with("arn:") {
            arn(text)?
        } else if let Some(alias) = text.strip_prefix("alias/") {
            well_formed(alias).then_some(Kind::Alias)?
        } else {
            is_key_id(text).then_some(Kind::Id)?
        };
        Some(Self {
            text: text.to_owned(),
            kind,
        })
    }

    /// The name, as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The region, if the name contains it.
    pub fn region(&self) -> Option<&str> {
        match &self.kind {
            Kind::KeyArn { region } | Kind::AliasArn { region } => Some(region),
            Kind::Alias | Kind::Id => None,
        }
    }

    /// The key's own ARN, if the name is it. An alias may point at another key tomorrow.
    pub fn key_arn(&self) -> Option<&str> {
        matches!(self.kind, Kind::KeyArn { .. }).then_some(self.text.as_str())
    }
}

fn arn(text: &str) -> Option<Kind> {
    let mut parts = text.splitn(6, ':');
    let (_, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    if !partition.starts_with("aws") || service != "kms" || region.is_empty() || account.is_empty()
    {
        return None;
    }
    let region = region.to_owned();
    match resource.split_once('/')? {
        ("key", id) => is_key_id(id).then_some(Kind::KeyArn { region }),
        ("alias", alias) => well_formed(alias).then_some(Kind::AliasArn { region }),
        _ => None,
    }
}

fn is_key_id(text: &str) -> bool {
    match text.strip_prefix("mrk-") {
        Some(rest) => well_formed(rest),
        None => text.len() == 36 && Uuid::try_parse(text).is_ok(),
    }
}

fn well_formed(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn each_form_is_known_and_tells_what_it_knows() {
        let key = format!("arn:aws:kms:eu-central-1:111122223333:key/{ID}");
        let rows = [
            (key.as_str(), Some("eu-central-1"), true),
            (
                "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-1234abcd12ab34cd",
                Some("cn-north-1"),
                true,
            ),
            (
                "arn:aws:kms:us-east-1:111122223333:alias/byokd",
                Some("us-east-1"),
                false,
            ),
            ("alias/byokd/prod_1", None, false),
            (ID, None, false),
            ("mrk-1234abcd12ab34cd56ef1234567890ab", None, false),
        ];
        for (text, region, is_key_arn) in rows {
            let name = KmsKeyName::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((name.as_str(), name.region()), (text, region));
            assert_eq!(name.key_arn(), is_key_arn.then_some(text));
        }
    }

    #[test]
    fn what_is_no_name_of_a_kms_key_is_none() {
        for text in [
            "",
            "byokd",
            "/etc/byokd/old.key",
            "alias/",
            "alias/by okd",
            "local:1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:s3:::bucket",
            "arn:aws:kms::111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-central-1:111122223333:key/nonsense",
            "arn:aws:kms:eu-central-1:111122223333",
            "1234abcd12ab34cd56ef1234567890ab",
        ] {
            assert_eq!(KmsKeyName::parse(text), None, "{text}");
        }
    }
}
