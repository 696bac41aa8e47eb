//! TLS of the panel, from the files that the agent file names.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Shows this certificate.
///
/// # Errors
/// A sentence that names the file which cannot be used.
pub(super) fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let unusable = |file: &Path, why: String| format!("the panel is not served: {} {why}", file.display());
    let read = |file: &Path| std::fs::read(file).map_err(|error| unusable(file, format!("cannot be read: {error}")));
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(chain)?).collect();
    let certificates = certificates.map_err(|error| unusable(chain, format!("is no PEM of certificates: {error}")))?;
    if certificates.is_empty() {
        return Err(unusable(chain, "holds no certificate: it begins with `-----BEGIN CERTIFICATE-----`".to_string()));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| unusable(key, "holds no private key in PEM".to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private));
    let mut config = config.map_err(|error| unusable(chain, format!("and its key cannot be used: {error}")))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
