//! Cancelling groups.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Workload;
use crate::Peer;
use crate::peer::Tree;

/// W7a: cancels a group of `tasks` parked tasks and waits until all of them are dropped.
#[derive(Clone, Copy, Debug)]
pub struct CancelParked {
    /// Tasks of the group.
    pub tasks: usize,
}

impl Workload for CancelParked {
    fn name(&self) -> &'static str {
        "cancel parked tasks"
    }

    fn operations(&self) -> usize {
        self.tasks
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let CancelParked { tasks } = *self;
        peer.run(async move {
            let parked = Arc::new(Count::default());
            let dropped = Arc::new(Count::default());
            let task = {
                let (parked, dropped) = (Arc::clone(&parked), Arc::clone(&dropped));
                move |_| park(Arc::clone(&parked), AtDrop(Arc::clone(&dropped)))
            };
            let all_dropped = {
                let dropped = Arc::clone(&dropped);
                async move { dropped.reaches(peer, tasks).await }
            };
            let time =
                peer.cancel_all(tasks, task, async move { parked.reaches(peer, tasks).await }, all_dropped).await;
            assert_eq!(dropped.0.load(Ordering::Acquire), tasks, "all are dropped");
            time
        })
    }
}

/// W7b: as W7a with a tree of groups; an operation is a leaf.
#[derive(Clone, Copy, Debug)]
pub struct CancelTree(pub Tree);

impl Workload for CancelTree {
    fn name(&self) -> &'static str {
        "cancel a tree of parked tasks"
    }

    fn operations(&self) -> usize {
        self.0.leaves()
    }

    fn time<P: Peer>(&self, peer: P) -> Duration {
        let CancelTree(tree) = *self;
        peer.run(async move {
            let parked = Arc::new(Count::default());
            let dropped = Arc::new(Count::default());
            let leaf = {
                let (parked, dropped) = (Arc::clone(&parked), Arc::clone(&dropped));
                move || park(Arc::clone(&parked), AtDrop(Arc::clone(&dropped)))
            };
            let all_dropped = {
                let dropped = Arc::clone(&dropped);
                async move { dropped.reaches(peer, tree.leaves()).await }
            };
            let all_parked = async move { parked.reaches(peer, tree.leaves()).await };
            let time = peer.cancel_tree(tree, leaf, all_parked, all_dropped).await;
            assert_eq!(dropped.0.load(Ordering::Acquire), tree.leaves(), "all are dropped");
            time
        })
    }
}

async fn park(parked: Arc<Count>, at_drop: AtDrop) {
    parked.0.fetch_add(1, Ordering::Release);
    drop(parked);
    pin!(pending::<()>()).await;
    drop(at_drop);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    async fn reaches<P: Peer>(&self, peer: P, wanted: usize) {
        while self.0.load(Ordering::Acquire) < wanted {
            peer.yield_now().await;
        }
    }
}

/// Counts when it is dropped.
struct AtDrop(Arc<Count>);

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Release);
    }
}
