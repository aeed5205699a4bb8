//! A small server that answers exactly what a test says, well-formed or not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A request that came, and the way to answer it.
pub(super) struct Request {
    pub(super) head: String,
    pub(super) path: String,
    pub(super) body: Vec<u8>,
    socket: Box<dyn Socket>,
}

impl Request {
    async fn read(mut socket: Box<dyn Socket>) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let mut body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while body.len() < length {
            socket.read_buf(&mut body).await.ok()?;
        }
        let path = head.split(' ').nth(1)?.to_owned();
        Some(Self {
            head,
            path,
            body,
            socket,
        })
    }

    /// Sends raw bytes; false if the other side has gone.
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = self.socket.write_all(bytes.as_ref()).await;
        sent.is_ok() && self.socket.flush().await.is_ok()
    }

    /// Sends a whole answer.
    pub(super) async fn answer(mut self, status: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.send(head).await;
        self.send(body).await;
        self.end().await;
    }

    /// Begins an answer whose end is the end of the connection.
    pub(super) async fn begin(&mut self, headers: &str) {
        let head = format!("HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n");
        self.send(head).await;
    }

    pub(super) async fn end(mut self) {
        let _ = self.socket.shutdown().await;
    }

    /// Waits until the other side goes.
    pub(super) async fn hang_up(mut self) {
        while self.socket.read_u8().await.is_ok() {}
    }
}

/// A server and what it saw. It ends with the test's runtime.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<Mutex<usize>>,
    tls: Arc<Mutex<Option<TlsAcceptor>>>,
}

fn presenting(certificate: &str) -> TlsAcceptor {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/server.key.pem"));
    let chain = CertificateDer::from_pem_slice(certificate.as_bytes());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain.unwrap()], key.unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl Server {
    pub(super) async fn start<F>(handler: impl Fn(Request) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        Self::serve("127.0.0.1:0", None, handler).await
    }

    /// With one of the certificates beside this file, all of them for hub.example.
    pub(super) async fn start_tls<F>(
        certificate: &str,
        handler: impl Fn(Request) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        Self::serve("127.0.0.1:0", Some(presenting(certificate)), handler).await
    }

    /// Presents another certificate to whoever connects from now on.
    pub(super) fn present(&self, certificate: &str) {
        *self.tls.lock().unwrap() = Some(presenting(certificate));
    }

    pub(super) async fn serve<F>(
        listen: &str,
        tls: Option<TlsAcceptor>,
        handler: impl Fn(Request) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind(listen).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            heads: Arc::default(),
            connections: Arc::default(),
            tls: Arc::new(Mutex::new(tls)),
        };
        let heads = server.heads.clone();
        let connections = server.connections.clone();
        let tls = Arc::clone(&server.tls);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                *connections.lock().unwrap() += 1;
                let tls = tls.lock().unwrap().clone();
                let (handler, heads) = (handler.clone(), heads.clone());
                tokio::spawn(async move {
                    let socket: Box<dyn Socket> = match tls {
                        None => Box::new(socket),
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => Box::new(socket),
                            Err(_) => return,
                        },
                    };
                    if let Some(request) = Request::read(socket).await {
                        heads.lock().unwrap().push(request.head.clone());
                        handler(request).await;
                    }
                });
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}
