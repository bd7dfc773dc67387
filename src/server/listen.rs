//! The ports, and the address file for clients on this machine.
//!
//! A port is claimed first and listens later: a port that is in use fails the start at once, and an early caller is
//! refused at once and goes elsewhere, instead of waiting for what may take long.
//!
//! Not here: what is served.

use std::{fs, io, net::SocketAddr, path::Path};

use tokio::net::{TcpListener, TcpSocket};

use super::StartError;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address that is ours, unless another process claims it in the same way: who listens first has it then.
pub(super) struct Claimed {
    socket: TcpSocket,
    address: SocketAddr,
    flag: &'static str,
}

impl Claimed {
    /// Claims an address; who connects to it is refused.
    pub(super) fn new(address: SocketAddr, flag: &'static str) -> Result<Self, StartError> {
        let bound = || {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()?
            } else {
                TcpSocket::new_v6()?
            };
            // Connections of the process before do not hold it up. A free port has none; and without this the system gives
            // it to no other process before byokd listens.
            socket.set_reuseaddr(address.port() != 0)?;
            socket.bind(address)?;
            let address = socket.local_addr()?;
            Ok(Self {
                socket,
                address,
                flag,
            })
        };
        bound().map_err(|error| in_the_way(address, flag, &error))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, connections are taken.
    pub(super) fn listen(self) -> Result<TcpListener, StartError> {
        let Self {
            socket,
            address,
            flag,
        } = self;
        socket
            .listen(BACKLOG)
            .map_err(|error| in_the_way(address, flag, &error))
    }
}

fn in_the_way(address: SocketAddr, flag: &str, error: &io::Error) -> StartError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("something else listens there; stop it, or name another address with {flag}")
        }
        _ => error.to_string(),
    };
    StartError(format!("cannot listen on {address}: {why}"))
}

pub(super) fn url(address: SocketAddr, encrypted: bool) -> String {
    format!("{}://{address}", if encrypted { "https" } else { "http" })
}

/// Whole or not at all, so that a client never reads half an address.
pub(super) fn write_address(file: &Path, url: &str) -> Result<(), StartError> {
    let fresh = file.with_extension("new");
    fs::write(&fresh, format!("{url}\n"))
        .and_then(|()| fs::rename(&fresh, file))
        .map_err(|error| StartError(format!("cannot write {}: {error}", file.display())))
}
