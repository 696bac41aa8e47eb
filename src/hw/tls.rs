//! Whom TLS connections trust: the built-in roots, and the owner's own authorities (`extra_ca`); nothing of the system's.

use std::io;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, ConfigBuilder};

/// TLS with the built-in roots and those of `extra_ca_pem`.
///
/// # Errors
/// PEM that holds something else than certificates.
pub fn config(extra_ca_pem: Option<&[u8]>) -> io::Result<ClientConfig> {
    let certificates = extra_ca_pem.into_iter().flat_map(CertificateDer::pem_slice_iter);
    let certificates = certificates
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| io::Error::other(format!("extra_ca holds no PEM certificate: {e}")))?;
    let builder = trusting(certificates).map_err(|e| io::Error::other(format!("extra_ca: {e}")))?;
    Ok(builder.with_no_client_auth())
}

/// TLS that trusts the built-in roots and `certificates`; the caller says what it shows of itself.
///
/// # Errors
/// One of them is none that can be an authority.
pub fn trusting(
    certificates: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in certificates {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots))
}
