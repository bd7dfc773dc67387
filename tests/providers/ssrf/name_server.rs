//! A name server whose answers change: real DNS (RFC 1035) over UDP, as the system's resolver uses it.
//!
//! Not here: records other than A and AAAA, and TCP.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use tokio::{net::UdpSocket, task::JoinHandle};

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const HEADER: usize = 12;

/// The answers for one name: the first time, the second, and so on; the last one stays.
struct Said {
    answers: Vec<Vec<IpAddr>>,
    /// The canonical name, if this one is an alias.
    alias_of: Option<&'static str>,
    asked: HashMap<u16, usize>,
}

/// The name, the record type, and the data.
type Record = (Vec<u8>, u16, Vec<u8>);

#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<&'static str, Said>>>);

/// It ends with the value.
pub(super) struct NameServer {
    names: Names,
    answering: JoinHandle<()>,
}

impl NameServer {
    /// On the port that resolvers use.
    pub(super) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").await.unwrap();
        let names = Names::default();
        let own = names.clone();
        let answering = tokio::spawn(async move {
            let mut question = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut question).await.unwrap();
                if let Some(answer) = own.answer(&question[..length]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { names, answering }
    }

    /// Answers with these addresses for a name, one list after the other.
    pub(super) fn say(&self, name: &'static str, answers: &[&[&str]]) {
        self.put(name, None, answers);
    }

    /// The same for an alias of another name.
    pub(super) fn say_alias(&self, name: &'static str, of: &'static str, answers: &[&[&str]]) {
        self.put(name, Some(of), answers);
    }

    fn put(&self, name: &'static str, alias_of: Option<&'static str>, answers: &[&[&str]]) {
        let list = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let said = Said {
            answers: answers.iter().map(list).collect(),
            alias_of,
            asked: HashMap::new(),
        };
        self.names.0.lock().unwrap().insert(name, said);
    }

    /// The number of queries for the name's addresses.
    pub(super) fn asked(&self, name: &str) -> usize {
        self.names.0.lock().unwrap()[name]
            .asked
            .values()
            .copied()
            .max()
            .unwrap_or(0)
    }
}

impl Names {
    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let (mut name, mut at) = (String::new(), HEADER);
        loop {
            let length = usize::from(*question.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            name.push_str(std::str::from_utf8(question.get(at..at + length)?).ok()?);
            name.push('.');
            at += length;
        }
        let kind = u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?]);
        let asked = question.get(HEADER..at + 4)?;
        let records = self.records(
            name.trim_end_matches('.').to_ascii_lowercase().as_str(),
            kind,
        );
        let code = if records.is_some() { 0 } else { 3 };
        let records = records.unwrap_or_default();
        let mut answer = question[..2].to_vec();
        answer.extend([0x81, 0x80 | code]);
        for count in [1, u16::try_from(records.len()).unwrap(), 0, 0] {
            answer.extend(count.to_be_bytes());
        }
        answer.extend(asked);
        for (owner, kind, data) in records {
            answer.extend(owner);
            answer.extend(kind.to_be_bytes());
            // The internet class, and a time to live of zero.
            answer.extend([0, 1, 0, 0, 0, 0]);
            answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            answer.extend(data);
        }
        Some(answer)
    }

    /// The records of a known name.
    fn records(&self, name: &str, kind: u16) -> Option<Vec<Record>> {
        let mut names = self.0.lock().unwrap();
        let said = names.get_mut(name)?;
        let times = said.asked.entry(kind).or_default();
        let addresses = &said.answers[(*times).min(said.answers.len() - 1)];
        *times += 1;
        let mut records = Vec::new();
        // The name in the question, by its offset in the message.
        let mut owner = vec![0xc0, 0x0c];
        if let Some(real) = said.alias_of {
            let real = labels(real);
            records.push((owner, CNAME, real.clone()));
            owner = real;
        }
        records.extend(
            addresses
                .iter()
                .filter_map(|address| match (kind, address) {
                    (A, IpAddr::V4(v4)) => Some((owner.clone(), A, v4.octets().to_vec())),
                    (AAAA, IpAddr::V6(v6)) => Some((owner.clone(), AAAA, v6.octets().to_vec())),
                    _ => None,
                }),
        );
        Some(records)
    }
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.answering.abort();
    }
}
