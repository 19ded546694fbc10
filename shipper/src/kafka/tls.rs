//! TLS to brokers. A certificate has to be vouched for by the system's authorities, or by those of
//! a file, and to be the broker's; nothing turns that off.

use super::{
    config::TlsConfig,
    link::{LinkFault, failing},
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::{path::PathBuf, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, ClientConfig, RootCertStore, crypto::aws_lc_rs},
};

/// Why TLS cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities.
    #[error("cannot read certificates from {}: {text}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// The system has none.
    #[error(
        "the system has no certificate authorities: install ca-certificates, or name a ca_file"
    )]
    NoAuthorities,
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// How connections are made secret.
pub struct Tls(TlsConnector);

impl Tls {
    /// Reads the authorities.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be read, or there are none.
    pub fn new(config: &TlsConfig) -> Result<Tls, TlsError> {
        let mut roots = RootCertStore::empty();
        match &config.ca_file {
            Some(path) => {
                let wrong = |text: String| TlsError::Authorities { path: path.clone(), text };
                let found =
                    CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.to_string()))?;
                for certificate in found {
                    let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
                    roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
                }
                if roots.is_empty() {
                    return Err(wrong("it holds no certificate in PEM".to_owned()));
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs().certs;
                roots.add_parsable_certificates(found);
                if roots.is_empty() {
                    return Err(TlsError::NoAuthorities);
                }
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let config = builder.with_safe_default_protocol_versions()?.with_root_certificates(roots);
        Ok(Tls(TlsConnector::from(Arc::new(config.with_no_client_auth()))))
    }

    /// Makes a connection to a broker, `host:port`, secret.
    pub(crate) async fn wrap(
        &self,
        broker: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, LinkFault> {
        let refused = |text: String| LinkFault::Refusing { broker: broker.to_owned(), text };
        let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|e| refused(e.to_string()))?;
        self.0.connect(name, stream).await.map_err(|error| {
            // What the library says of a certificate does not pass by itself.
            let certificate = error.get_ref().is_some_and(|e| e.is::<rustls::Error>());
            match certificate {
                true => refused(error.to_string()),
                false => failing(broker, "make the connection secret")(error),
            }
        })
    }
}
