//! Who is at home here: this node itself, and the organisations that it let in.
//!
//! An identifier says where its log is served, and whoever writes a log can make it name any host. So each
//! handle has a note of who was let in under it, by the operator or by the hosting policy.

use protocol::id::{Did, Scid};

use super::{Actors, Local};
use crate::keychain::{self, Signer};
use crate::store::StoreError;

/// Who was the last to have a handle here.
const TABLE: &str = "homes";

impl Actors {
    /// The organisation with this handle, if it is at home here, or was the last to be.
    ///
    /// # Errors
    /// A disk fault.
    pub fn organization(&self, handle: &str) -> Result<Option<Local>, StoreError> {
        if !keychain::is_handle(handle) {
            return Ok(None);
        }
        let Some(scid) = self.last_home(handle)? else {
            return Ok(None);
        };
        // A blocked one keeps its handle, and speaks to nobody.
        let Some(author) = self
            .0
            .store
            .author(&scid)?
            .filter(|_| !self.0.store.is_blocked(&scid))
        else {
            return Ok(None);
        };
        match self.of_author(author.state.did())? {
            Some(Local::Organization { handle: its, scid }) if its == handle => {
                Ok(Some(Local::Organization { handle: its, scid }))
            }
            _ => Ok(self.moved(handle, &author.state)),
        }
    }

    /// Who is at home here under a handle, also one whom this node does not carry.
    ///
    /// # Errors
    /// A disk fault.
    pub fn holder(&self, handle: &str) -> Result<Option<Scid>, StoreError> {
        let Some(scid) = self.last_home(handle)? else {
            return Ok(None);
        };
        let state = self.0.store.state_unseen(&scid)?;
        let local = state.map_or(Ok(None), |state| self.of_author(state.did()))?;
        let is_here =
            matches!(&local, Some(Local::Organization { handle: its, .. }) if its == handle);
        Ok(is_here.then_some(scid))
    }

    /// Whether an identifier says that its log is served here. Whoever writes a log can make it say so; who
    /// [is at home](Actors::is_at_home) was let in.
    pub fn is_address_here(&self, did: &Did) -> bool {
        let (host, port) = self.0.config.did_host();
        did.host() == host && did.port() == port
    }

    /// Whether an author is at home here: this node's own, or let in by its hosting policy.
    ///
    /// # Errors
    /// A disk fault.
    pub fn is_at_home(&self, did: &Did) -> Result<bool, StoreError> {
        Ok(self.of_author(did)?.is_some())
    }

    /// Which of our actors an author is; `None` if it is at home elsewhere, or only says that it is here.
    ///
    /// # Errors
    /// A disk fault.
    pub fn of_author(&self, did: &Did) -> Result<Option<Local>, StoreError> {
        match self.address_of(did) {
            Some(Local::Organization { handle, scid })
                if self.last_home(&handle)? == Some(scid) =>
            {
                Ok(Some(Local::Organization { handle, scid }))
            }
            Some(Local::Node) if self.0.own.as_ref() == Some(did.scid()) => Ok(Some(Local::Node)),
            _ => Ok(None),
        }
    }

    /// Which of our actors an identifier names.
    pub(super) fn address_of(&self, did: &Did) -> Option<Local> {
        if !self.is_address_here(did) {
            return None;
        }
        let path: Vec<&str> = did.path().collect();
        match path.as_slice() {
            [] => Some(Local::Node),
            ["orgs", handle] => Some(Local::Organization {
                handle: (*handle).to_owned(),
                scid: *did.scid(),
            }),
            _ => None,
        }
    }

    /// Notes that this identity was let in here, if its address is here. Durable on return.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_home(&self, did: &Did) -> Result<(), StoreError> {
        let Some(Local::Organization { handle, scid }) = self.address_of(did) else {
            return Ok(());
        };
        if self.last_home(&handle)? == Some(scid) {
            return Ok(());
        }
        let row = scid.to_string().into_bytes();
        self.0.store.put_named(TABLE, &handle, Some(row)).await
    }

    /// Notes the organisations whose keys are here and whose handle nobody is at home under: `own` are those keys.
    ///
    /// # Errors
    /// A disk fault.
    pub async fn note_homes(&self, own: Vec<Signer>) -> Result<(), StoreError> {
        for signer in own {
            let Some(author) = self.0.store.author(signer.did.scid())? else {
                continue;
            };
            let did = author.state.did();
            if let Some(Local::Organization { handle, .. }) = self.address_of(did)
                && self.holder(&handle)?.is_none()
            {
                self.note_home(did).await?;
            }
        }
        Ok(())
    }

    /// Who was let in under this handle last.
    pub(super) fn last_home(&self, handle: &str) -> Result<Option<Scid>, StoreError> {
        let Some(row) = self.0.store.named(TABLE, handle)? else {
            return Ok(None);
        };
        let scid = std::str::from_utf8(&row).ok();
        Ok(scid.and_then(|scid| Scid::parse(scid).ok()))
    }
}
