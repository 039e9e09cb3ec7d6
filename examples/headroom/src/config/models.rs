//! `models`: what the client's models are called where they are asked.

use std::{collections::BTreeMap, fmt, str::FromStr};

/// Names of clients, and those of the backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Models(BTreeMap<String, String>);

impl Models {
    /// The backend's name for `model`: of the row that is called so, or so but for the date behind it.
    pub(crate) fn of(&self, model: &str) -> Option<&str> {
        let undated = || model.rsplit_once('-').filter(|(_, date)| is_date(date)).map(|(name, _)| name);
        let found = self.0.get(model).or_else(|| self.0.get(undated()?));
        found.map(String::as_str)
    }
}

/// Whether it is a date, as models have it in their names.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|letter| letter.is_ascii_digit())
}

impl FromStr for Models {
    type Err = String;

    /// `name=id,name=id`.
    fn from_str(text: &str) -> Result<Self, String> {
        let row = |row: &str| match row.split_once('=') {
            Some((name, id)) if !name.trim().is_empty() && !id.trim().is_empty() => {
                Ok((name.trim().to_owned(), id.trim().to_owned()))
            }
            _ => Err(format!("{row:?} is not NAME=ID")),
        };
        text.split(',').filter(|text| !text.trim().is_empty()).map(row).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> serde::Deserialize<'de> for Models {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(from).map(Self)
    }
}

/// A table of TOML on one line.
impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ ")?;
        for (at, (name, id)) in self.0.iter().enumerate() {
            let [name, id] = [name, id].map(|text| toml::Value::from(text.as_str()));
            write!(f, "{}{name} = {id}", if at == 0 { "" } else { ", " })?;
        }
        f.write_str(" }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_with_its_date_and_without() {
        let models: Models = "claude-a=us.anthropic.a-v1:0, claude-b-20250101 = b".parse().unwrap();
        for (name, id) in [
            ("claude-a", Some("us.anthropic.a-v1:0")),
            ("claude-a-20251231", Some("us.anthropic.a-v1:0")),
            ("claude-b-20250101", Some("b")),
            ("claude-b", None),
            ("claude-a-latest", None),
            ("", None),
        ] {
            assert_eq!(models.of(name), id, "{name}");
        }
        for bad in ["a", "a=", "=b", "a=b,c"] {
            assert!(bad.parse::<Models>().is_err(), "{bad}");
        }
        assert_eq!("".parse::<Models>().unwrap(), Models::default());
    }
}
