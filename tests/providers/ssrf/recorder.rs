//! A record of the addresses that byokd connects to: on the island, any address.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use tokio::{net::TcpListener, task::JoinHandle};

/// Accepts every connection on its ports, notes the destination address, and closes.
pub(super) struct Recorder {
    met: Arc<Mutex<Vec<IpAddr>>>,
    listening: Vec<JoinHandle<()>>,
    port: u16,
}

impl Recorder {
    pub(super) async fn on(ports: &[u16]) -> Self {
        let met = Arc::<Mutex<Vec<IpAddr>>>::default();
        let (mut listening, mut last) = (Vec::new(), 0);
        for port in ports {
            // IPv4 arrives here too, as ::ffff:1.2.3.4.
            let listener = TcpListener::bind(("::", *port)).await.unwrap();
            last = listener.local_addr().unwrap().port();
            let met = Arc::clone(&met);
            listening.push(tokio::spawn(async move {
                loop {
                    let (connection, _) = listener.accept().await.unwrap();
                    let meant = connection.local_addr().unwrap().ip().to_canonical();
                    met.lock().unwrap().push(meant);
                }
            }));
        }
        Self {
            met,
            listening,
            port: last,
        }
    }

    /// The last of its ports, where 0 took a free one.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The destination addresses, each once.
    pub(super) fn met(&self) -> Vec<IpAddr> {
        let mut met = self.met.lock().unwrap().clone();
        met.sort();
        met.dedup();
        met
    }

    /// The number of connections.
    pub(super) fn connections(&self) -> usize {
        self.met.lock().unwrap().len()
    }

    pub(super) fn forget(&self) {
        self.met.lock().unwrap().clear();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for listening in &self.listening {
            listening.abort();
        }
    }
}
