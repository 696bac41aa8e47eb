//! Throw-away certificates for a broker that asks for its clients' ones too.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Leaves `ca.pem`, and `server` and `client` with their keys.
pub fn make(folder: &Path) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "mynah test authority");
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let authority = Issuer::new(params, key);
    for (name, host) in [("server", "127.0.0.1"), ("client", "mynah")] {
        let mut params = CertificateParams::new([host.to_string()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, host);
        let key = KeyPair::generate().unwrap();
        fs::write(folder.join(format!("{name}.pem")), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
