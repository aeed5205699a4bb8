//! A line in front of a node that counts every byte, in both directions.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::node::{Node, port};

pub(crate) struct Tube {
    bytes: Arc<AtomicU64>,
}

impl Tube {
    /// A node that is reached through the tube only, made but not started.
    pub(crate) fn before(own: u16, peers: &[u16]) -> (Self, Node) {
        let node = Node::make_on(own, peers);
        let behind = port();
        let url = format!("url = \"{}\"", node.url);
        node.edit(&url, &format!("{url}\nlisten = \"127.0.0.1:{behind}\""));
        let listener = TcpListener::bind(("127.0.0.1", own)).unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", behind)) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let counted = Arc::clone(&counted);
                    std::thread::spawn(move || pass_on(from, to, &counted));
                }
            }
        });
        (Self { bytes }, node)
    }

    /// How many bytes went through since this was asked last.
    pub(crate) fn passed(&self) -> u64 {
        self.bytes.swap(0, Ordering::SeqCst)
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut part = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut part) {
        counted.fetch_add(count as u64, Ordering::SeqCst);
        if to.write_all(&part[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
