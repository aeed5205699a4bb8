//! A running node: the only place that wires its parts together.

mod tasks;

use std::path::Path;
use std::sync::Arc;

use protocol::id::{Did, Scid};
use protocol::identity::write::Place;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::audit;
use crate::catalogue::Catalogue;
use crate::clock::SharedClock;
use crate::completeness::Comparison;
use crate::config::{Config, ConfigError};
use crate::control;
use crate::federation::actors::{Actors, Local};
use crate::federation::client::{Client, FetchError};
use crate::federation::clocks::Clocks;
use crate::federation::courier::Courier;
use crate::federation::deliveries::Deliveries;
use crate::federation::followers::Followers;
use crate::federation::inbox::{self, Inbox};
use crate::federation::outbox::{self, Outbox};
use crate::federation::peers::Peers;
use crate::federation::policy::Gate;
use crate::federation::pull::Puller;
use crate::federation::remote::RemoteActors;
use crate::federation::replays::Replays;
use crate::follow::{FollowError, SearchFollower};
use crate::ingest::{Ingest, IngestError, Watch};
use crate::keychain::{self, Founded, Keychain, KeychainError, Signer};
use crate::labels::{Labels, LabelsError};
use crate::lookalikes::LookAlikes;
use crate::publish::{PublishError, Publisher};
use crate::search::{Index, SearchError};
use crate::sets::Sets;
use crate::standing::Standing;
use crate::store::{LogReceipt, Store, StoreError};
use crate::web;
use crate::web::answered::Answered;
use crate::web::pace::Pace;
use crate::web::visitor::Waiting;

/// The shortest time between two checkpoints of one author.
const CHECKPOINT_PAUSE_SECONDS: i64 = 3_600;

/// Why a node does not start or cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeychainError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// Filling the index.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The labels.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The client for other nodes.
    #[error(transparent)]
    Client(#[from] FetchError),
    /// Our own door.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// An identity that is kept without a node.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityError),
    /// Publishing.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A socket.
    #[error("{what}: {source}")]
    Socket {
        /// Which.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The folder holds a node already.
    #[error("{folder} holds a node already")]
    Exists {
        /// The folder.
        folder: String,
    },
    /// Something is not what it should be.
    #[error("{0}")]
    Refused(String),
}

/// A node and its parts. Made by [`Node::open`]; it serves once [`Node::serve`] was called.
pub struct Node {
    /// Its settings.
    pub config: Config,
    host_names: Vec<String>,
    /// Records as they were answered.
    pub answered: Answered,
    /// Held by whoever lets an organisation in.
    pub admitting: tokio::sync::Mutex<()>,
    /// Its clock.
    pub clock: SharedClock,
    /// What it keeps.
    pub store: Arc<Store>,
    /// The one door.
    pub ingest: Ingest,
    /// Its keys.
    pub keychain: Keychain,
    /// Signs and publishes.
    pub publisher: Publisher,
    /// Whether it may.
    pub standing: Standing,
    /// What is found.
    pub index: Index,
    /// Keeps what is found at the end of the change log.
    pub follower: Arc<SearchFollower>,
    /// What codes are called.
    pub labels: Arc<Labels>,
    /// Reading for people and programs.
    pub catalogue: Catalogue,
    /// What is held, as sets that others compare theirs with.
    pub sets: Sets,
    /// Which organisations' names look alike.
    pub lookalikes: LookAlikes,
    /// How complete each author is here.
    pub completeness: Arc<Comparison>,
    /// Other nodes.
    pub peers: Peers,
    /// Reads other nodes' logs.
    pub puller: Puller,
    /// Asks other nodes.
    pub client: Client,
    /// Who this node is to other servers: itself and the organisations at home here.
    pub actors: Actors,
    /// Who follows them.
    pub followers: Followers,
    /// Who may send.
    pub gate: Gate,
    /// Takes what other servers send.
    pub inbox: Inbox,
    /// Sends what other servers are owed.
    pub outbox: Outbox,
    /// Who keeps answers waiting.
    pub waiting: Waiting,
    /// Who asks how much.
    pub pace: Pace,
    /// How it stands with each host that is delivered to.
    pub deliveries: Deliveries,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Node {
    /// Makes a node in a new folder: its settings, its keys, its own identity.
    ///
    /// # Errors
    /// The folder holds a node, or cannot be written.
    pub async fn init(config: &Config, clock: SharedClock) -> Result<Founded, NodeError> {
        let folder = &config.folder;
        if folder.join(crate::config::FILE).exists() {
            return Err(NodeError::Exists {
                folder: folder.display().to_string(),
            });
        }
        std::fs::create_dir_all(folder).map_err(|source| NodeError::Socket {
            what: folder.display().to_string(),
            source,
        })?;
        let keychain = Keychain::open(&config.keys_folder())?;
        let (host, port) = config.did_host();
        let place = Place::new(&host, port, &[]).map_err(|error| {
            NodeError::Refused(format!(
                "the address cannot stand in an identifier: {error}"
            ))
        })?;
        let founded = keychain.found(keychain::NODE, place, clock.now())?;
        let store = Arc::new(Store::open(
            &config.store_folder(),
            keychain::random_name()?,
        )?);
        let ingest = Ingest::new(Arc::clone(&store), clock);
        ingest
            .log_entry(&founded.entry.to_canonical_bytes(), &Default::default())
            .await?;
        store.close();
        // Last, so that a node with settings is a whole one.
        config.save()?;
        Ok(founded)
    }

    /// Opens the node that these settings describe. Nothing is served or fetched yet.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub fn open(config: Config, clock: SharedClock) -> Result<Arc<Self>, NodeError> {
        let keychain = Keychain::open(&config.keys_folder())?;
        let folder = config.store_folder();
        if !folder.exists() {
            // A new, empty one in its place would serve nothing and look like a node that lost all.
            let reason = "it is missing: bring it back, or make a new node elsewhere".to_owned();
            return Err(StoreError::Unusable { folder, reason }.into());
        }
        let store = Store::open(&folder, keychain::random_name()?)?;
        let store = Arc::new(store.with_quotas(config.quotas()));
        // A process that ended between a log entry and its keys left both as they were.
        for signer in keychain.signers()? {
            if let Some(author) = store.author(signer.did.scid())? {
                keychain.settle(&signer.handle, &author.state)?;
            }
        }
        let labels = Arc::new(Labels::shipped()?);
        let index = open_index(&config.index_folder())?.with_labels(labels.words());
        let follower = SearchFollower::new(Arc::clone(&store), index.clone());
        let watch = Watch::new(
            Arc::clone(&store),
            keychain.clone(),
            Standing::new(Arc::clone(&store)),
        );
        let ingest = Ingest::new(Arc::clone(&store), Arc::clone(&clock)).watched_by(watch);
        let publisher = Publisher::new(
            Arc::clone(&store),
            ingest.clone(),
            Arc::clone(&clock),
            config.journal(),
        );
        let agent = format!("Baraza/{} (+{})", env!("CARGO_PKG_VERSION"), config.url);
        let client = Client::new(config.insecure_peers.clone(), &agent)?;
        let peers = Peers::new(Arc::clone(&store));
        let sets = Sets::new(Arc::clone(&store));
        let puller = Puller::new(
            client.clone(),
            peers.clone(),
            ingest.clone(),
            sets.clone(),
            Arc::clone(&clock),
        );
        let actors = Actors::open(
            config.clone(),
            keychain.clone(),
            Arc::clone(&store),
            Arc::clone(&labels),
        )?;
        let courier = Courier::open(
            client.clone(),
            actors.http_signer(&Local::Node),
            Arc::clone(&store),
            Arc::clone(&clock),
        )?;
        let remote = RemoteActors::new(courier.clone(), Arc::clone(&clock));
        let followers = Followers::open(Arc::clone(&store))?;
        let deliveries = Deliveries::open(Arc::clone(&store), clock.now())?;
        let outbox = Outbox::open(outbox::Parts {
            deliveries: deliveries.clone(),
            actors: actors.clone(),
            client: client.clone(),
            courier,
            remote: remote.clone(),
            followers: followers.clone(),
            peers: peers.clone(),
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
        })?;
        let gate = Gate::new(
            &config.settings.federation,
            peers.clone(),
            Arc::clone(&store),
            Arc::clone(&clock),
        );
        let inbox = Inbox::new(inbox::Parts {
            gate: gate.clone(),
            standing: Standing::new(Arc::clone(&store)),
            config: config.clone(),
            actors: actors.clone(),
            remote,
            followers: followers.clone(),
            peers: peers.clone(),
            outbox: outbox.clone(),
            ingest: ingest.clone(),
            puller: puller.clone(),
            store: Arc::clone(&store),
            replays: Replays::open(Arc::clone(&store), clock.now().unix_seconds())?,
            clock: Arc::clone(&clock),
        });
        Ok(Arc::new(Self {
            host_names: config.host_names(),
            answered: Answered::default(),
            admitting: tokio::sync::Mutex::default(),
            catalogue: Catalogue::new(Arc::clone(&store)),
            sets,
            lookalikes: LookAlikes::new(Arc::clone(&store)),
            completeness: Arc::new(Comparison::new(Arc::clone(&store))),
            standing: Standing::new(Arc::clone(&store)),
            pace: Pace::new(config.requests_per_minute()),
            config,
            clock,
            store,
            ingest,
            keychain,
            publisher,
            index,
            follower: Arc::new(follower),
            labels,
            peers,
            puller,
            client,
            actors,
            followers,
            gate,
            inbox,
            outbox,
            waiting: Waiting::default(),
            deliveries,
            stop: watch::Sender::new(false),
            tasks: Mutex::default(),
        }))
    }

    /// Serves, keeps up with peers and keeps the index up, until [`Node::stop`].
    ///
    /// # Errors
    /// The address is taken, or a disk fault.
    pub async fn serve(self: &Arc<Self>) -> Result<(), NodeError> {
        self.publisher.finish().await?;
        audit::note_settings(&self.store, self.config.policies(), self.clock.now()).await?;
        self.actors.note_homes(self.keychain.signers()?).await?;
        let socket = |what: String| move |source| NodeError::Socket { what, source };
        let listener = TcpListener::bind(self.config.listen)
            .await
            .map_err(socket(format!("cannot listen on {}", self.config.listen)))?;
        let control = control::listen(&self.config.control_socket())
            .map_err(socket("the control socket".to_owned()))?;
        self.puller.start()?;
        let mut tasks = self.tasks.lock().await;
        tasks.push(tokio::spawn(web::serve(Arc::clone(self), listener)));
        tasks.push(tokio::spawn(control::serve(Arc::clone(self), control)));
        tasks.extend(tasks::start(self));
        Ok(())
    }

    /// Stops: no new connections, open requests finish, what is acknowledged is on disk.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.puller.stop();
        for task in self.tasks.lock().await.drain(..) {
            // A task that panicked has said so already.
            let _ = task.await;
        }
        let _ = std::fs::remove_file(self.config.control_socket());
        self.store.close();
    }

    /// Resolves when the node begins to stop.
    pub async fn stopping(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives as long as the node.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Fills the index up to the end of the change log, and commits it.
    ///
    /// # Errors
    /// A fault of the store or of the index.
    pub fn index_now(&self) -> Result<(), NodeError> {
        Ok(self.follower.catch_up()?)
    }

    /// Says of each author whose key is here how many records it has, at most hourly; a node that may not
    /// publish says nothing. One that cannot be counted keeps none of the others from it.
    ///
    /// # Errors
    /// The keys do not read, or a disk fault.
    pub async fn publish_checkpoints(&self) -> Result<(), NodeError> {
        if self.standing.held()?.is_some() {
            return Ok(());
        }
        for signer in self.keychain.signers()? {
            if let Err(error) = self
                .publisher
                .checkpoint(&signer, CHECKPOINT_PAUSE_SECONDS)
                .await
            {
                tracing::error!(%error, author = signer.handle, "no checkpoint was published");
            }
        }
        Ok(())
    }

    /// Asks the nodes that this one follows what time it is, and notes whether that keeps it from publishing.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn compare_clocks(&self) -> Result<Clocks, StoreError> {
        let clocks = Clocks::ask(&self.client, &self.peers, &self.clock).await?;
        clocks.note(&self.standing, &self.peers).await?;
        Ok(clocks)
    }

    /// Whether a request for this host is for this node. A node on loopback has several names there.
    pub fn answers_for(&self, host: &str) -> bool {
        self.host_names
            .iter()
            .any(|name| host.eq_ignore_ascii_case(name))
    }

    /// Whether an author is at home here: [`Actors::is_at_home`].
    ///
    /// # Errors
    /// A disk fault.
    pub fn hosts(&self, did: &Did) -> Result<bool, StoreError> {
        self.actors.is_at_home(did)
    }

    /// The author with this handle, if this node hosts it.
    ///
    /// # Errors
    /// A disk fault.
    pub fn hosted(&self, handle: &str) -> Result<Option<Scid>, StoreError> {
        Ok(match self.actors.organization(handle)? {
            Some(Local::Organization { scid, .. }) => Some(scid),
            Some(Local::Node | Local::Topic { .. } | Local::Moved { .. }) | None => None,
        })
    }

    /// The node's own identity.
    ///
    /// # Errors
    /// Its key file is missing or damaged.
    pub fn own(&self) -> Result<Signer, NodeError> {
        Ok(self.keychain.signer(keychain::NODE)?)
    }

    /// Makes an organisation that this node hosts and holds all keys of.
    ///
    /// # Errors
    /// The handle is none or taken.
    pub async fn add_organization(&self, handle: &str) -> Result<Founded, NodeError> {
        keychain::check_handle(handle)?;
        if self.actors.holder(handle)?.is_some() {
            let why = format!("the handle “{handle}” is taken: choose another");
            return Err(NodeError::Refused(why));
        }
        let (host, port) = self.config.did_host();
        let place = Place::new(&host, port, &["orgs", handle])
            .map_err(|error| NodeError::Refused(error.to_string()))?;
        let founded = self.keychain.found(handle, place, self.clock.now())?;
        match self
            .ingest
            .log_entry(&founded.entry.to_canonical_bytes(), &Default::default())
            .await?
        {
            LogReceipt::Grown => {
                self.actors.note_home(founded.entry.did()).await?;
                Ok(founded)
            }
            other => Err(NodeError::Refused(format!(
                "the new log was not taken: {other:?}"
            ))),
        }
    }

    /// What this node has, in numbers.
    ///
    /// # Errors
    /// A disk fault.
    pub fn census(&self) -> Result<Value, StoreError> {
        let authors = self.store.authors()?;
        let (mut records, mut withdrawn, mut held) = (0u64, 0u64, 0u64);
        let mut last = None;
        for row in self.store.held(None) {
            let (id, _) = row?;
            held += 1;
            // Rows of one record stand together: the record is counted once.
            if last.as_ref() != Some(&id) {
                match self.store.counting(&id)?.map(|row| row.status) {
                    Some(protocol::envelope::Status::Active) => records += 1,
                    Some(protocol::envelope::Status::Withdrawn) => withdrawn += 1,
                    None => {}
                }
                last = Some(id);
            }
        }
        let refused: u64 = self.peers.all()?.iter().map(|peer| peer.refused).sum();
        Ok(json!({
            "name": self.config.settings.name,
            "url": self.config.url.as_str(),
            "software": {"name": "baraza", "version": env!("CARGO_PKG_VERSION")},
            "authors": authors.len(),
            "records": records,
            "withdrawn": withdrawn,
            "held": held,
            "parked": self.store.parked()?,
            "refused": refused,
            "publishes": self.standing.held()?.is_none(),
            "indexed": self.index.count(),
            "epoch": self.store.epoch(),
            "changes": self.store.last_change()?,
            "stateHash": self.store.state_hash()?.to_string(),
        }))
    }
}

/// Opens the index, or makes it anew where it is missing, damaged or of an older form.
fn open_index(folder: &Path) -> Result<Index, SearchError> {
    match Index::open(folder) {
        Err(error) if error.asks_for_refill() => {
            tracing::info!(%error, "the search index is made anew from the log");
            Index::create_fresh(folder)
        }
        opened => opened,
    }
}
