//! Whom TLS connections trust: the built-in roots, and the owner's own authorities (`extra_ca`).

use std::io;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};

/// TLS with the built-in roots and those of `extra_ca_pem`.
///
/// # Errors
/// PEM that holds something else than certificates.
pub fn config(extra_ca_pem: Option<&[u8]>) -> io::Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca_pem.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate =
            certificate.map_err(|e| io::Error::other(format!("extra_ca holds no PEM certificate: {e}")))?;
        roots.add(certificate).map_err(|e| io::Error::other(format!("extra_ca: {e}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth())
}
