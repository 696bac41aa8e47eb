//! Throw-away certificates: one authority, and servers whose papers are right or wrong in one way.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

/// What is wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Papers {
    /// Nothing.
    Right,
    /// It is another host's.
    WrongName,
    /// It was good until 2001.
    Expired,
    /// It will be good from 2101.
    NotYetValid,
    /// An authority signed it that nobody knows.
    Stranger,
}

impl Papers {
    /// Beginning of the names of its files.
    pub fn name(self) -> &'static str {
        match self {
            Papers::Right => "right",
            Papers::WrongName => "wrong-name",
            Papers::Expired => "expired",
            Papers::NotYetValid => "not-yet-valid",
            Papers::Stranger => "stranger",
        }
    }
}

/// Leaves `ca.pem`, and `NAME-cert.pem` and `NAME-key.pem` for each kind of papers.
pub fn make(folder: &Path) {
    let (authority, pem) = authority("mynah test authority");
    std::fs::write(folder.join("ca.pem"), pem).unwrap();
    let (other, _) = self::authority("somebody else");
    let kinds = [Papers::Right, Papers::WrongName, Papers::Expired, Papers::NotYetValid, Papers::Stranger];
    for papers in kinds {
        let host = if papers == Papers::WrongName { "elsewhere.example" } else { "127.0.0.1" };
        let mut params = CertificateParams::new([host.to_string()]).unwrap();
        match papers {
            Papers::Expired => {
                (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
            }
            Papers::NotYetValid => {
                (params.not_before, params.not_after) = (date_time_ymd(2101, 1, 1), date_time_ymd(2102, 1, 1));
            }
            Papers::Right | Papers::WrongName | Papers::Stranger => {}
        }
        let key = KeyPair::generate().unwrap();
        let issuer = if papers == Papers::Stranger { &other } else { &authority };
        let certificate = params.signed_by(&key, issuer).unwrap();
        std::fs::write(folder.join(format!("{}-cert.pem", papers.name())), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{}-key.pem", papers.name())), key.serialize_pem()).unwrap();
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}
