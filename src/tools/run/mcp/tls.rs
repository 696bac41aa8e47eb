//! TLS to servers: the built-in roots, those of `extra_ca`, and ring; nothing of the system's.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};

/// The configuration.
///
/// # Errors
/// The end of a sentence, where `extra_ca` holds something else than certificates.
pub(super) fn config(extra_ca_pem: Option<&[u8]>) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra_ca_pem.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate =
            certificate.map_err(|e| format!("cannot be asked: extra_ca holds no PEM certificate ({e})"))?;
        roots.add(certificate).map_err(|e| format!("cannot be asked: extra_ca: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| format!("cannot be asked: {e}"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
