//! Two networks of their own with a line of 64 kbit/s between them, whose every byte the kernel counts.

use std::process::{Command, Output};

/// Bits a second, in either direction.
const RATE: &str = "64kbit";

/// What a modem holds back for the line before it drops something.
const BACKLOG: &str = "10s";

/// At either end of the line.
pub(crate) struct End {
    /// The name of its network.
    pub(crate) network: String,
    /// The address of what listens there.
    pub(crate) address: String,
    device: String,
}

/// The line, until it is dropped.
pub(crate) struct ThinLine {
    pub(crate) ends: [End; 2],
}

impl ThinLine {
    /// Lays the line, as fast as the machine is for now; `None`, with a word of what is missing, where that
    /// cannot be done.
    pub(crate) fn lay() -> Option<Self> {
        let id = std::process::id();
        let end = |n: usize| End {
            network: format!("baraza-{id}-{n}"),
            address: format!("10.203.0.{}", n + 1),
            device: format!("thin{n}"),
        };
        let line = Self {
            ends: [end(0), end(1)],
        };
        match line.set_up() {
            Ok(()) => Some(line),
            Err(missing) => {
                println!(
                    "skipped: no network namespaces with a thin line on this machine: {missing}"
                );
                None
            }
        }
    }

    fn set_up(&self) -> Result<(), String> {
        let [one, other] = &self.ends;
        for end in &self.ends {
            run("ip", &["netns", "add", &end.network])?;
        }
        let mut pair = vec![
            "link",
            "add",
            &one.device,
            "netns",
            &one.network,
            "type",
            "veth",
        ];
        pair.extend(["peer", "name", &other.device, "netns", &other.network]);
        run("ip", &pair)?;
        for end in &self.ends {
            let address = format!("{}/24", end.address);
            end.run(&["ip", "address", "add", &address, "dev", &end.device])?;
            end.run(&["ip", "link", "set", "lo", "up"])?;
            end.run(&["ip", "link", "set", &end.device, "up"])?;
            // Whether the line can be made thin is known now, not in the middle of a test.
            end.limit("add", "1gbit")?;
        }
        Ok(())
    }

    /// From now on it is thin.
    pub(crate) fn make_thin(&self) {
        for end in &self.ends {
            end.limit("change", RATE).unwrap();
        }
    }

    /// Bytes that the kernel counted at one end so far, in both directions: of all protocols, with the headers
    /// of the link.
    pub(crate) fn bytes(&self) -> u64 {
        let end = &self.ends[1];
        let count = |direction: &str| -> u64 {
            let file = format!("/sys/class/net/{}/statistics/{direction}_bytes", end.device);
            let read = end.run(&["cat", &file]).unwrap();
            String::from_utf8_lossy(&read.stdout)
                .trim()
                .parse()
                .unwrap()
        };
        count("rx") + count("tx")
    }
}

impl End {
    /// Runs a program there and waits for it.
    fn run(&self, command: &[&str]) -> Result<Output, String> {
        let mut all = vec!["netns", "exec", self.network.as_str()];
        all.extend(command);
        run("ip", &all)
    }

    fn limit(&self, verb: &str, rate: &str) -> Result<Output, String> {
        let mut all = vec![
            "tc",
            "qdisc",
            verb,
            "dev",
            self.device.as_str(),
            "root",
            "tbf",
        ];
        all.extend(["rate", rate, "burst", "3000", "latency", BACKLOG]);
        self.run(&all)
    }
}

impl Drop for ThinLine {
    fn drop(&mut self) {
        // Its devices go with it.
        for end in &self.ends {
            let _ = run("ip", &["netns", "delete", &end.network]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<Output, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{program} {}: {}",
        arguments.join(" "),
        said.trim()
    ))
}
