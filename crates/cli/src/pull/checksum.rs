//! The checksum that the hub names for a file.

use crate::pull::hub::Answer;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::fmt;

/// What a file's bytes must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Of large files: SHA-256 of the bytes.
    Sha256(String),
    /// Of small files: SHA-1 as Git has it of a blob.
    Git(String),
}

impl Checksum {
    /// As the hub says it: `x-linked-etag` of large files, else `etag`.
    pub(super) fn said(answer: &Answer) -> Option<Self> {
        let said = answer.said("x-linked-etag").or_else(|| answer.said("etag"))?;
        let hash = said.strip_prefix("W/").unwrap_or(said).trim_matches('"').to_lowercase();
        let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match hash.len() {
            64 if is_hex => Some(Self::Sha256(hash)),
            40 if is_hex => Some(Self::Git(hash)),
            _ => None,
        }
    }

    pub(super) fn hash(&self) -> &str {
        match self {
            Self::Sha256(hash) | Self::Git(hash) => hash,
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(hash) => write!(formatter, "sha256 {hash}"),
            Self::Git(hash) => write!(formatter, "git {hash}"),
        }
    }
}

/// Sums up bytes as they come. The same kind as the checksum that is expected; SHA-256 where none is.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hasher {
    pub(super) fn new(expected: Option<&Checksum>, bytes: u64) -> Self {
        match expected {
            Some(Checksum::Git(_)) => Self::Git(Sha1::new_with_prefix(format!("blob {bytes}\0"))),
            Some(Checksum::Sha256(_)) | None => Self::Sha256(Sha256::new()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sha256(hasher) => Checksum::Sha256(hex(&hasher.finalize())),
            Self::Git(hasher) => Checksum::Git(hex(&hasher.finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'hello\n' | git hash-object --stdin`, and `| sha256sum`.
    #[test]
    fn checksums_are_those_of_git_and_of_sha256sum() {
        let of = |expected: &Checksum| {
            let mut hasher = Hasher::new(Some(expected), 6);
            hasher.update(b"he");
            hasher.update(b"llo\n");
            hasher.finish()
        };
        let git = Checksum::Git("ce013625030ba8dba906f756967f9e9ca394464a".to_owned());
        assert_eq!(of(&git), git);
        let sha256 =
            Checksum::Sha256("5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03".to_owned());
        assert_eq!(of(&sha256), sha256);
    }
}
