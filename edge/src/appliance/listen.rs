//! Sockets that shards accept on, one per listener that all shards share, and a lock on each
//! address.
//!
//! Without SO_REUSEPORT nobody else can take a part of the connections, neither by accident nor in
//! silence. An abstract socket of the address's name is held while the appliance lives, so that one
//! that goes and one that comes are never taken for each other; the kernel takes it away with the
//! process, however that ends.

use super::StartError;
use crate::config::ListenerConfig;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::{Shutdown, SocketAddr},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixDatagram},
    },
    thread,
    time::{Duration, Instant},
};

/// BOUND: connections that wait to be accepted. The kernel's own bound is
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A listener's sockets, and where it listens.
pub(super) struct Bound {
    /// With the port that the kernel chose, if it was to choose.
    pub(super) address: SocketAddr,
    /// The same socket, once for each shard.
    pub(super) sockets: Vec<OwnedFd>,
    /// Held while the appliance lives.
    pub(super) door: Door,
}

/// What ends a listener, and until then keeps its address.
pub(super) struct Door {
    socket: Socket,
    _lock: UnixDatagram,
}

impl Door {
    /// Nobody is let in any more: who comes is refused at once, and asks somebody else. A ring
    /// keeps its sockets for a while after its end, and a client that the kernel still let in would
    /// wait for nothing.
    pub(super) fn close(&self) {
        if let Err(error) = self.socket.shutdown(Shutdown::Both) {
            tracing::debug!(%error, "a listener could not be closed");
        }
    }
}

/// Binds a listener for so many shards.
pub(super) fn bind(config: &ListenerConfig, shards: usize) -> Result<Bound, StartError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => {
            StartError::AddressInUse { name: config.name.clone(), address: config.address }
        }
        _ => StartError::Listen { name: config.name.clone(), address: config.address, source },
    };
    let socket = claim(config.address).map_err(failed)?;
    let address = local(&socket).map_err(failed)?;
    let lock = lock(address).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)?;
    let shared = |_| socket.try_clone();
    let sockets = (0..shards).map(shared).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    let sockets = sockets.into_iter().map(OwnedFd::from).collect();
    Ok(Bound { address, sockets, door: Door { socket, _lock: lock } })
}

/// How long an address may be somebody's who is gone. The kernel takes a ring down on a thread of
/// its own, and with it the listeners in its file table: they outlive a process that was killed by
/// some 40 ms, and a restart must not fail for that.
const GONE_MAX: Duration = Duration::from_secs(1);

/// Between two looks at such an address.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A socket on an address that nobody else has.
fn claim(address: SocketAddr) -> io::Result<Socket> {
    let until = Instant::now() + GONE_MAX;
    loop {
        match socket(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                thread::sleep(LOOK_AGAIN);
            }
            result => return result,
        }
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Dual-stack, whatever net.ipv6.bindv6only says.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit this; they are never descriptors of ours that it could be set on.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("the socket has no address"))
}

fn lock(address: SocketAddr) -> io::Result<UnixDatagram> {
    let name = UnixAddress::from_abstract_name(format!("brink/listen/{address}"))?;
    UnixDatagram::bind_addr(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Deadlines, cidr::Cidrs},
        consent::Policy,
        roles::Ack,
    };
    use std::{collections::BTreeMap, net::TcpStream};

    fn config(address: &str) -> ListenerConfig {
        let second = Duration::from_secs(1);
        ListenerConfig {
            name: "a".into(),
            role: "pixel".into(),
            address: address.parse().unwrap(),
            exchange: None,
            datacenter: None,
            allow: Cidrs::Any,
            trusted_proxies: Cidrs::List(Vec::new()),
            connections_max: 1,
            body_bytes_max: 1,
            deadlines: Deadlines { head: second, body: second, idle: second, write: second },
            acks: BTreeMap::from([("/i.gif".to_owned(), Ack::Received)]),
            cookie: String::new(),
            auction_parameter: String::new(),
            consent: Policy::default(),
            provider: None,
        }
    }

    #[test]
    fn shards_share_an_address_and_a_second_instance_does_not() {
        let first = bind(&config("127.0.0.1:0"), 3).unwrap();
        assert_eq!(first.sockets.len(), 3);
        let again = bind(&config(&first.address.to_string()), 1);
        assert!(matches!(again, Err(StartError::AddressInUse { .. })));
        let wildcard = bind(&config(&format!("0.0.0.0:{}", first.address.port())), 1);
        assert!(matches!(wildcard, Err(StartError::AddressInUse { .. })));
        let address = first.address.to_string();
        TcpStream::connect(first.address).unwrap();
        first.door.close();
        let refused = TcpStream::connect(first.address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "while it is still open");
        drop(first);
        bind(&config(&address), 1).unwrap();
    }
}
