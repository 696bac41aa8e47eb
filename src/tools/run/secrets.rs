//! The secrets of `[secrets]`, fetched when they are needed: one that is renewed counts from the next call on.

use std::collections::BTreeMap;

use crate::config::agent::secrets::Secrets;
use crate::config::agent::template::Template;
use crate::hw::key;
use crate::live::credential::Secret;
use crate::tools::{Failure, fill};

/// Where the secrets are.
#[derive(Clone, Debug, Default)]
pub(super) struct SecretBook(Secrets);

impl SecretBook {
    pub(super) fn new(secrets: &Secrets) -> SecretBook {
        SecretBook(secrets.clone())
    }

    /// The secret of this name. What is wrong with it the owner reads in the log; the model hears only that it is.
    pub(super) fn fetch(&self, name: &str) -> Result<Secret, Failure> {
        let refused = || Failure::Refused(format!("the device's owner must mend its secret `{name}` first"));
        let file = self.0.get(name).ok_or_else(refused)?;
        key::secret(name, file, |variable| std::env::var(variable).ok()).map_err(|why| {
            tracing::warn!("{why}");
            refused()
        })
    }

    /// The texts with their secrets in them: what a program finds in its environment, the headers of a request.
    pub(super) fn reveal_all(&self, texts: &BTreeMap<String, Template>) -> Result<BTreeMap<String, String>, Failure> {
        let mut secret = |name: &str| self.fetch(name).map(|secret| secret.reveal().to_string());
        texts.iter().map(|(name, text)| Ok((name.clone(), fill::reveal(text, &mut secret)?))).collect()
    }
}
