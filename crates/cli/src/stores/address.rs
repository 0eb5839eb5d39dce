//! Addresses of what lies in an object store or on a web server.

use crate::Failure;
use std::path::Path;

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    S3,
    Google,
    Azure,
    Web,
}

/// `s3://bucket/photos`: a bucket or server, and what lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(super) scheme: Scheme,
    /// As it is told to people, without a `/` at its end.
    text: String,
    /// Where the scheme and the bucket or server end in it.
    base: usize,
}

impl Address {
    /// None of what is no address, as a path.
    ///
    /// Errors: a password or a signature in the address; nothing behind the scheme.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, Failure> {
        let Some((name, rest)) = path.to_str().and_then(|text| text.split_once("://")) else {
            return Ok(None);
        };
        let scheme = match name {
            "s3" | "s3a" => Scheme::S3,
            "gs" => Scheme::Google,
            "az" | "abfs" | "abfss" => Scheme::Azure,
            "http" | "https" => Scheme::Web,
            _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Err(format!(
                    "`{name}://` is no kind of address that is read\nhelp: give s3://, gs://, az://, http:// or https://"
                )
                .into());
            }
            _ => return Ok(None),
        };
        let rest = rest.trim_end_matches('/');
        let host = rest.split('/').next().unwrap_or_default();
        // an account of Azure stands before its host, as a user does elsewhere
        let is_secret = rest.contains(['?', '#']) || (host.contains('@') && scheme != Scheme::Azure);
        if is_secret {
            return Err(format!(
                "an address of `{name}://` holds a query, a user or a password, which would be kept in the record of a run\nhelp: give the address without it; credentials come from the environment"
            )
            .into());
        }
        if host.is_empty() {
            return Err(format!(
                "`{name}://` names nothing\nhelp: give the bucket or server, and what lies there"
            )
            .into());
        }
        let base = name.len() + 3 + host.len();
        Ok(Some(Self { scheme, text: format!("{name}://{rest}"), base }))
    }

    /// For people.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The scheme with the bucket or server.
    pub(super) fn base(&self) -> &str {
        &self.text[..self.base]
    }

    /// What lies there: the key, without a `/` before or behind it.
    pub(super) fn key(&self) -> &str {
        self.text[self.base..].trim_matches('/')
    }

    /// The last name; that of the bucket where all of it is meant.
    pub(super) fn name(&self) -> &str {
        let last = self.text.rsplit('/').next().unwrap_or_default();
        // what has accounts or ports is no name of a file everywhere
        if self.key().is_empty() { "all" } else { last }
    }

    /// What lies beside it, under this key.
    pub(super) fn with_key(&self, key: &str) -> Self {
        let text = format!("{}/{}", self.base(), key.trim_matches('/'));
        Self { text: text.trim_end_matches('/').to_owned(), ..self.clone() }
    }

    /// The folder that it lies in.
    pub(super) fn above(&self) -> Self {
        self.with_key(self.key().rsplit_once('/').map_or("", |(above, _)| above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Address>, String> {
        Address::of(Path::new(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_taken_apart() {
        for (text, base, key, name) in [
            ("s3://bucket/a/b.tar", "s3://bucket", "a/b.tar", "b.tar"),
            ("gs://bucket/a/", "gs://bucket", "a", "a"),
            ("az://box@account/a", "az://box@account", "a", "a"),
            ("https://host:8000/a//b", "https://host:8000", "a//b", "b"),
            ("s3://bucket", "s3://bucket", "", "all"),
        ] {
            let address = of(text).expect("an address").expect("an address");
            assert_eq!((address.base(), address.key(), address.name()), (base, key, name), "{text}");
        }
        let address = of("s3://bucket/a/b.csv").expect("an address").expect("an address");
        assert_eq!(address.above().text(), "s3://bucket/a");
        assert_eq!(address.above().above().text(), "s3://bucket");
        assert_eq!(of("photos/a"), Ok(None));
        assert_eq!(of("C:\\photos"), Ok(None));
    }

    #[test]
    fn secrets_are_refused_and_not_told() {
        for text in
            ["https://user:word@host/a", "https://host/a?X-Amz-Signature=word", "s3://key:word@bucket/a"]
        {
            let error = of(text).expect_err("refused");
            assert!(
                !error.contains("word@") && !error.contains("Signature") && error.contains("help: "),
                "{error}"
            );
        }
        assert!(of("ftp://host/a").expect_err("refused").contains("`ftp://`"));
        assert!(of("s3:///a").expect_err("refused").contains("names nothing"));
    }
}
