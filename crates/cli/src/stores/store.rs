//! A store: who may read it, how often a request is tried, and what its errors mean.

use super::address::{Address, Scheme};
use super::connection::Connector;
use super::copy::{Known, unwritable};
use crate::Failure;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, Error, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart,
};
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Bytes of a piece of a large object; a store takes at least 5 MiB.
const PIECE: usize = 8 << 20;
/// Pieces that are on their way at a time.
const AT_ONCE: usize = 4;

/// How often a web server's answer may lead elsewhere.
const REDIRECTS: u32 = 5;

/// Variables whose values are told to nobody.
const SECRETS: [&str; 12] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_TOKEN",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
];

/// A bucket or a server.
pub(super) struct Store {
    pub(super) address: Address,
    pub(super) objects: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

impl Store {
    /// With the credentials of the environment.
    pub(super) fn open(address: &Address) -> Result<Self, Failure> {
        let connector = Connector { redirects: if address.scheme == Scheme::Web { REDIRECTS } else { 0 } };
        let base = address.base();
        let objects: Result<Arc<dyn ObjectStore>, Error> = match address.scheme {
            Scheme::S3 => AmazonS3Builder::from_env()
                .with_url(base)
                .with_http_connector(connector)
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            Scheme::Google => GoogleCloudStorageBuilder::from_env()
                .with_url(base)
                .with_http_connector(connector)
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            Scheme::Azure => MicrosoftAzureBuilder::from_env()
                .with_url(base)
                .with_http_connector(connector)
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
            Scheme::Web => HttpBuilder::new()
                .with_url(base)
                .with_http_connector(connector)
                .with_retry(retry())
                .build()
                .map(|store| Arc::new(store) as Arc<dyn ObjectStore>),
        };
        let objects = objects.map_err(|error| told(&error, address))?;
        let runtime = Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| format!("the threads of connections could not be started: {error}"))?;
        Ok(Self { address: address.clone(), objects, runtime })
    }

    /// Waits for what was asked of the store.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.runtime.block_on(work)
    }

    /// A key as the store writes it.
    pub(super) fn key(&self, key: &str) -> Result<Key, Failure> {
        let found = match self.address.scheme {
            Scheme::Web => Key::from_url_path(key),
            _ => Key::parse(key),
        };
        found.map_err(|_| {
            format!(
                "`{}` is no name of an object\nhelp: write it without empty names, `.` and `..`",
                self.named(key)
            )
            .into()
        })
    }

    /// A key with the store, for people.
    pub(super) fn named(&self, key: &str) -> String {
        self.address.with_key(key).text().to_owned()
    }

    /// What is known of an object; none where there is none.
    pub(super) async fn about(&self, key: &str) -> Result<Option<ObjectMeta>, Failure> {
        let at = self.key(key)?;
        match self.objects.head(&at).await {
            Ok(about) => Ok(Some(about)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.told(&error, key)),
        }
    }

    /// Uploads a file as one object, which appears whole or not at all.
    pub(super) fn put(&self, path: &Path, key: &str) -> Result<Known, Failure> {
        let failed = |error: std::io::Error| unwritable(path, &error);
        let told = |error: Error| self.told(&error, key);
        let at = self.key(key)?;
        let mut file = File::open(path).map_err(failed)?;
        let mut size = file.metadata().map_err(failed)?.len();
        self.wait(async {
            let answer = if size <= PIECE as u64 {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(failed)?;
                size = bytes.len() as u64;
                self.objects.put(&at, bytes.into()).await.map_err(told)?
            } else {
                let pieces = self.objects.put_multipart(&at).await.map_err(told)?;
                let mut pieces = WriteMultipart::new_with_chunk_size(pieces, PIECE);
                let mut bytes = vec![0; PIECE];
                loop {
                    let read = file.read(&mut bytes).map_err(failed)?;
                    if read == 0 {
                        break;
                    }
                    pieces.wait_for_capacity(AT_ONCE).await.map_err(told)?;
                    pieces.write(&bytes[..read]);
                }
                pieces.finish().await.map_err(told)?
            };
            match Known::uploaded(size, &answer) {
                Some(known) => Ok(known),
                None => self.objects.head(&at).await.map(|about| Known::of(&about)).map_err(told),
            }
        })
    }

    /// What a small object holds; nothing where there is none.
    pub(super) fn get(&self, key: &str) -> Result<Vec<u8>, Failure> {
        let at = self.key(key)?;
        self.wait(async {
            let told = |error: Error| self.told(&error, key);
            match self.objects.get(&at).await {
                Ok(answer) => Ok(answer.bytes().await.map_err(told)?.to_vec()),
                Err(Error::NotFound { .. }) => Ok(Vec::new()),
                Err(error) => Err(told(error)),
            }
        })
    }

    /// Removes an object, if it is there.
    pub(super) fn remove(&self, key: &str) -> Result<(), Failure> {
        let at = self.key(key)?;
        self.wait(async {
            match self.objects.delete(&at).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.told(&error, key)),
            }
        })
    }

    /// An error for people.
    pub(super) fn told(&self, error: &Error, key: &str) -> Failure {
        told(error, &self.address.with_key(key))
    }
}

fn retry() -> RetryConfig {
    let (init_backoff, max_backoff) = (Duration::from_millis(200), Duration::from_secs(5));
    RetryConfig {
        backoff: BackoffConfig { init_backoff, max_backoff, base: 2.0 },
        max_retries: 5,
        retry_timeout: Duration::from_secs(120),
    }
}

/// What went wrong, and what to do; without anything that is secret.
fn told(error: &Error, address: &Address) -> Failure {
    let place = address.text();
    let why = why(error);
    let text = match error {
        Error::NotFound { .. } => {
            format!("`{place}` is not there\nhelp: look at the bucket or server, and at what lies there")
        }
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => {
            format!("`{place}` may not be used: {why}\nhelp: {}", credentials(address.scheme))
        }
        _ if has_no_credentials(error) => {
            format!("there are no credentials for `{place}`: {why}\nhelp: {}", credentials(address.scheme))
        }
        _ => format!(
            "`{place}` cannot be reached: {why}\nhelp: look at the address and the connection, and try again: what was fetched is kept"
        ),
    };
    text.into()
}

/// Whether what went wrong is that there are no credentials: then the machine itself is asked, which knows none.
fn has_no_credentials(error: &Error) -> bool {
    const SIGNS: [&str; 6] = [
        "Missing AccessKeyId",
        "Missing SecretAccessKey",
        "Account must be specified",
        "latest/api/token",
        "metadata/identity",
        "computeMetadata",
    ];
    let text = format!("{error} {error:?}");
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// What a scheme takes its credentials from.
fn credentials(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::S3 => {
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (with AWS_SESSION_TOKEN, where there is one; AWS_ENDPOINT_URL for another provider), or AWS_SKIP_SIGNATURE=true for what is public; profiles in files are not read"
        }
        Scheme::Google => {
            "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or GOOGLE_SKIP_SIGNATURE=true for what is public"
        }
        Scheme::Azure => {
            "set AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_SKIP_SIGNATURE=true for what is public"
        }
        Scheme::Web => "a web server is asked without credentials: give an address that anyone may read",
    }
}

/// The reason in a line: what the store says in its answer, else what the client says.
fn why(error: &Error) -> String {
    let text = error.to_string();
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.trim().to_owned())
    };
    let said = match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let mut said: String = said.chars().take(300).collect();
    for name in SECRETS {
        if let Ok(secret) = std::env::var(name)
            && !secret.is_empty()
        {
            said = said.replace(&secret, "…");
        }
    }
    said
}
