//! What the peers of `bench peers` share: the answer, the log, how they listen.
//!
//! Each program in `src/bin` is what somebody would write who needs a pixel by tonight: one thread,
//! one route, a line of log for each request, no tricks beyond those that its library's
//! documentation names. `h2o.c` is the same in C; `bench peers` compiles it. All give the same
//! answer, to the byte but for order and case of headers.
#![deny(unsafe_code)]

pub mod answer;
pub mod log;

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

/// What a peer is told.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// Where to listen.
    pub address: SocketAddr,
    /// Where to log; nowhere for those that do not.
    pub log: Option<PathBuf>,
}

impl Arguments {
    /// Reads `ADDRESS [LOG]`.
    ///
    /// # Errors
    /// When they are others.
    pub fn of_process() -> io::Result<Arguments> {
        let mut arguments = std::env::args().skip(1);
        let address = arguments.next().and_then(|text| text.parse().ok());
        let wanted = || io::Error::other("wanted: ADDRESS:PORT [LOG]");
        Ok(Arguments {
            address: address.ok_or_else(wanted)?,
            log: arguments.next().map(PathBuf::from),
        })
    }
}

/// A listener whose connections do not wait to fill a segment.
///
/// # Errors
/// When the system gives none.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Connections inherit it on Linux: no system call for each of them.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}
