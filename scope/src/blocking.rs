//! Work that blocks its thread, as a member of a scope: what a host adds that has threads for it.

use crate::handle::ScopeHandle;
use crate::host::Host;

/// A host that has threads for work that blocks.
pub trait BlockingHost: Host {
    /// What such work is given to ask whether it is still wanted.
    type Job;

    /// Runs `work` on a thread where it may block, as a member of `scope`.
    #[track_caller]
    fn spawn_blocking<F, T>(&self, scope: &ScopeHandle<Self>, work: F) -> Self::JoinHandle<T>
    where
        F: FnOnce(&Self::Job) -> T + Send + 'static,
        T: Send + 'static;
}

impl<H: BlockingHost> ScopeHandle<H> {
    /// Runs `work` on a thread where it may block, as a member of the scope. The scope waits for it.
    ///
    /// If the scope is cancelled before the work has begun, it is dropped unrun and its handle says so. Work that has begun
    /// cannot be stopped from outside: it asks what it is given. If the scope is cancelled or has ended when this is called,
    /// the handle answers "cancelled".
    ///
    /// ```
    /// # fn example<H: ramus_scope::BlockingHost>(s: &ramus_scope::ScopeHandle<H>) {
    /// let _handle = s.spawn_blocking(|_job| std::fs::read_to_string("Cargo.toml"));
    /// # }
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, work: F) -> H::JoinHandle<T>
    where
        F: FnOnce(&H::Job) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.host().spawn_blocking(self, work)
    }
}
