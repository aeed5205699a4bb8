//! How commands reach a running node: a socket in its folder that only its owner may use.
//!
//! One JSON line asks; lines of progress and one last line answer.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::commands::{self, Command, Done};
use crate::node::Node;

/// Largest command: drafts are handed over whole.
const COMMAND_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a long job does at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Reads a file; counted in bytes.
    Reading,
    /// Publishes records.
    Publishing,
    /// Fills the index.
    Indexing,
    /// Writes a backup.
    Saving,
    /// Rows written anew.
    Compacting,
    /// Looks at records.
    Checking,
    /// Makes a node of a backup.
    Restoring,
}

/// How far a long job is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Progress {
    /// What is counted.
    pub step: Step,
    /// Done so far.
    pub done: u64,
    /// Of how many, if that is known.
    pub total: Option<u64>,
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Progress(Progress),
    Done(Done),
    Failed(String),
}

/// Opens the socket. One that a killed node left behind is replaced: the store's lock has shown that
/// no other node runs here.
///
/// # Errors
/// The folder cannot be written.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Carries out commands until the node stops.
pub(crate) async fn serve(node: Arc<Node>, listener: UnixListener) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = node.stopping() => return,
        };
        match stream {
            Ok((stream, _)) => {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    if let Err(error) = carry_out(node, stream).await {
                        tracing::debug!(%error, "a command's caller went away");
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "a command was not accepted"),
        }
    }
}

async fn carry_out(node: Arc<Node>, stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(COMMAND_BYTES_MAX))
        .read_line(&mut line)
        .await?;
    let command: Command = match serde_json::from_str(&line) {
        Ok(command) => command,
        Err(error) => {
            return say(
                &mut writer,
                &Answer::Failed(format!("this node does not know that command: {error}")),
            )
            .await;
        }
    };
    let (progress, mut steps) = mpsc::channel(64);
    let work = tokio::spawn(async move { commands::run(&node, command, &progress).await });
    while let Some(step) = steps.recv().await {
        say(&mut writer, &Answer::Progress(step)).await?;
    }
    let answer = match work.await {
        Ok(Ok(done)) => Answer::Done(done),
        Ok(Err(error)) => Answer::Failed(error.to_string()),
        Err(_) => {
            Answer::Failed("the command met a defect of this program; its log says more".to_owned())
        }
    };
    say(&mut writer, &answer).await
}

async fn say(writer: &mut (impl tokio::io::AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Asks the node that runs in a folder; `None` if none does.
///
/// # Errors
/// The connection broke.
pub async fn ask(
    socket: &Path,
    command: &Command,
    progress: &mpsc::Sender<Progress>,
) -> io::Result<Option<Result<Done, String>>> {
    let Ok(stream) = UnixStream::connect(socket).await else {
        return Ok(None);
    };
    let (reader, mut writer) = stream.into_split();
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            // Progress that nobody shows is not waited for.
            Answer::Progress(step) => drop(progress.try_send(step)),
            Answer::Done(done) => return Ok(Some(Ok(done))),
            Answer::Failed(reason) => return Ok(Some(Err(reason))),
        }
    }
    Err(io::Error::other("the node stopped while it worked on this"))
}
