//! Who is idle, who is woken, and who keeps watch. This module knows no task and no queue.
//!
//! # States
//!
//! A worker is *working* (it polls, or looks for work), *searching* (it may steal), or *idle* (its bit is set and it is
//! parked or about to park). Three facts are shared:
//!
//! * **idle bits**, one a worker. Set only by the worker itself in [`Sleep::begin_idle`]; cleared by the worker itself
//!   in [`Sleep::end_idle`] or by whoever claims it in [`Sleep::claim`], never by anybody else.
//! * **searching**, the number of tokens ([`Searching`]) in existence. While one exists nobody is woken: its holder will
//!   look at every queue. A claim makes the token *before* it clears the bit and leaves it to the claimed worker, so a
//!   worker that finds its bit cleared holds a token.
//! * **sentinel**, the idle worker that parks with a time-out, because somebody works and may be stuck.
//!
//! # Proof that no submitted work is overlooked
//!
//! A submitter pushes, a worker parks. The two writes are the push `P` and the bit `B`; each side has a fence between
//! its write and its look at the other's:
//!
//! ```text
//! submitter                              worker
//! P: push                                D: searching -= 1 (if it searched)
//! F1: fence(SeqCst)         [sleep:F1]   B: set own idle bit
//! read searching, then the bits          F2: fence(SeqCst)          [sleep:F2]
//!                                        look at every queue, then park
//! ```
//!
//! The fences have a total order. *F1 before F2*: what the worker reads after F2 sees what was written before F1, so its
//! last look finds the push. *F2 before F1*: the submitter sees `D` and `B`: this worker is not counted as searching
//! and its bit is set, so it is claimed, unless another one is, or another token exists.
//!
//! It remains that a token which made a submitter stay silent leads to a look after its end. There are three ways to give
//! one back, each with a fence after the decrement `D` ([`Sleep::end_search`] holds both):
//!
//! * *The searcher found nothing*: it sets its bit and looks at every queue after F2, as above.
//! * *The searcher found work*: after F3 `[sleep:F3]` its worker looks at every queue and claims another worker if one
//!   holds something. The submitter read the token, so not (F3 before F1), so F1 before F3, and the look finds the push.
//! * *A claimer found no idle worker*: after F3 it reads the bits again and starts over if one is set. If it sees none,
//!   then F3 is before F2 of any worker that parks later; the silent submitter has F1 before F3, as above, so F1 before
//!   F2, and that worker's last look finds the push.
//!
//! # Proof that a stuck worker is watched
//!
//! If a worker works while another one is idle for good, one idle worker is the sentinel. A worker that begins to work
//! has its bit cleared, then fences `[sleep:F5]` and reads `sentinel`; if there is none it claims somebody, who searches,
//! finds nothing, and parks as the sentinel. A sentinel that resigns clears `sentinel`, fences `[sleep:F4]` and counts the idle
//! bits again. Either the new worker sees no sentinel, or the resigning sentinel sees that worker's bit cleared and stays.
//! A sentinel that begins to work clears `sentinel`, fences `[sleep:F6]` and then does what everybody does who begins to
//! work: it sees the bit of a worker that parks, or that one sees that nobody watches.
//!
//! When everybody is idle the sentinel resigns, so an idle runtime has no periodic time-out.

use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

const BITS: usize = u64::BITS as usize;
const NOBODY: usize = usize::MAX;

/// Permission to steal, and the promise to look at every queue before it ends. Given back by [`Sleep::end_search`].
#[derive(Debug)]
#[must_use = "a lost token silences every later wake"]
pub struct Searching(());

/// What [`Sleep::park_unless`] found.
#[derive(Debug)]
#[must_use]
pub enum Park {
    /// The bit is set and nothing was found: block until unparked, then call [`Sleep::end_idle`].
    Commit,
    /// Something was found: the worker is not idle. It may have been claimed meanwhile.
    Work(Option<Searching>),
}

/// The idle set, the number of searchers and the sentinel.
#[derive(Debug)]
pub struct Sleep {
    words: Box<[CachePadded<AtomicU64>]>,
    searching: CachePadded<AtomicUsize>,
    sentinel: CachePadded<AtomicUsize>,
    workers: usize,
}

impl Sleep {
    /// Nobody is idle, nobody searches.
    pub fn new(workers: usize) -> Self {
        let words = (0..workers.div_ceil(BITS)).map(|_| CachePadded::new(AtomicU64::new(0))).collect();
        Self {
            words,
            searching: CachePadded::new(AtomicUsize::new(0)),
            sentinel: CachePadded::new(AtomicUsize::new(NOBODY)),
            workers,
        }
    }

    /// True if a worker may be idle. A hint: what the push rule asks before anything dearer.
    #[inline]
    pub fn any_idle(&self) -> bool {
        // Ordering: [sleep:I1] Relaxed, a hint. Whoever must not miss an idle worker goes through `claim`.
        self.words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// True if nobody but `me` can be working. Exact only after a fence.
    fn others_idle(&self, me: usize) -> bool {
        // Ordering: [sleep:I2] Relaxed; ordered by F2, F4 or F5 where the answer matters.
        let idle: usize = self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum();
        // Ordering: [sleep:I3] as above.
        let own = self.words[me / BITS].load(Ordering::Relaxed) >> (me % BITS) & 1;
        idle - own as usize >= self.workers - 1
    }

    /// Asks to search: granted while fewer than half of the workers do, one at least.
    pub fn start_search(&self) -> Option<Searching> {
        let limit = (self.workers / 2).max(1);
        // Ordering: [sleep:S1] Relaxed: the count orders nothing by itself, F1 and F3 do.
        let before =
            self.searching.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < limit).then_some(now + 1));
        before.ok().map(|_| Searching(()))
    }

    /// A token whatever the number of searchers: for a worker whose last look found work in a neighbour's queue.
    pub fn force_search(&self) -> Searching {
        // Ordering: [sleep:S3] Relaxed, as above.
        self.searching.fetch_add(1, Ordering::Relaxed);
        Searching(())
    }

    /// Gives a token back. Afterwards the caller must look at every queue: a worker that found work claims somebody if
    /// one holds something, a worker that found nothing parks through [`Sleep::park_unless`].
    pub fn end_search(&self, token: Searching) {
        let Searching(()) = token;
        // Ordering: [sleep:S2] Relaxed, ordered before the caller's look by F3.
        let before = self.searching.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a search token was given back twice");
        // Ordering: [sleep:F3] partner F1: a submitter that saw the token has pushed before this fence.
        fence(Ordering::SeqCst);
    }

    /// Claims an idle worker, to be unparked by the caller; it wakes up with a search token. None if a search is under way
    /// or nobody is idle.
    ///
    /// Call it after a push.
    #[must_use = "the claimed worker must be unparked"]
    pub fn claim(&self) -> Option<usize> {
        // Ordering: [sleep:F1] partner F2: the push before it is seen by the last look, or the bit is seen here.
        fence(Ordering::SeqCst);
        loop {
            // Ordering: [sleep:S4] Relaxed, read after F1.
            if self.searching.load(Ordering::Relaxed) != 0 || !self.any_idle() {
                return None;
            }
            // Ordering: [sleep:S5] Relaxed; made before the bit is cleared [sleep:B2], so that the claimed worker owns it.
            if self.searching.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                return None;
            }
            if let Some(worker) = self.take_idle() {
                return Some(worker);
            }
            self.end_search(Searching(()));
        }
    }

    /// Clears one idle bit, the sentinel's last.
    fn take_idle(&self) -> Option<usize> {
        // Ordering: [sleep:W1] Relaxed, a preference.
        let sentinel = self.sentinel.load(Ordering::Relaxed);
        for spare_sentinel in [true, false] {
            for (index, word) in self.words.iter().enumerate() {
                // Ordering: [sleep:I4] Relaxed, the clearing below decides.
                let mut bits = word.load(Ordering::Relaxed);
                if spare_sentinel && sentinel / BITS == index {
                    bits &= !(1 << (sentinel % BITS));
                }
                while bits != 0 {
                    let bit = bits & bits.wrapping_neg();
                    // Ordering: [sleep:B2] Release, partner B3: the token made before is the worker's.
                    if word.fetch_and(!bit, Ordering::Release) & bit != 0 {
                        return Some(index * BITS + bit.trailing_zeros() as usize);
                    }
                    bits &= !bit;
                }
            }
        }
        None
    }

    /// Sets the bit of `me`, looks a last time, and says whether to block. `look` reads every queue.
    pub fn park_unless(&self, me: usize, look: impl FnOnce() -> bool) -> Park {
        self.begin_idle(me);
        if look() { Park::Work(self.end_idle(me)) } else { Park::Commit }
    }

    fn begin_idle(&self, me: usize) {
        // Ordering: [sleep:B1] Relaxed, ordered before the last look by F2.
        let before = self.words[me / BITS].fetch_or(1 << (me % BITS), Ordering::Relaxed);
        debug_assert_eq!(before >> (me % BITS) & 1, 0, "worker {me} was idle already");
        // Ordering: [sleep:F2] partner F1.
        fence(Ordering::SeqCst);
    }

    /// `me` is awake. The token, if it was claimed while idle.
    pub fn end_idle(&self, me: usize) -> Option<Searching> {
        let bit = 1 << (me % BITS);
        // Ordering: [sleep:B3] Acquire, partner B2: a cleared bit brings the claimer's token with it.
        let before = self.words[me / BITS].fetch_and(!bit, Ordering::Acquire);
        // Ordering: [sleep:F5] partner F4: a resigning sentinel sees the bit cleared, or `begin_work` sees it resigned.
        fence(Ordering::SeqCst);
        (before & bit == 0).then_some(Searching(()))
    }

    /// Called by an idle worker before it blocks: true if it is the sentinel now, that is, somebody else works and nobody
    /// else watches. A sentinel stays one until [`Sleep::resign`] or [`Sleep::begin_work`].
    pub fn watch(&self, me: usize) -> bool {
        // Ordering: [sleep:W3] Relaxed: the role guards nothing, F4 and F5 order it against the bits.
        let now = self.sentinel.load(Ordering::Relaxed);
        if now == me {
            return true;
        }
        if now != NOBODY || self.others_idle(me) {
            return false;
        }
        // Ordering: [sleep:W4] Relaxed, as above.
        self.sentinel.compare_exchange(NOBODY, me, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// True if the bit of `worker` is set. A hint.
    pub fn is_idle(&self, worker: usize) -> bool {
        // Ordering: [sleep:I5] Relaxed, a hint.
        self.words[worker / BITS].load(Ordering::Relaxed) >> (worker % BITS) & 1 == 1
    }

    /// True if nobody but `me` works: what the sentinel asks before it resigns.
    pub fn is_alone(&self, me: usize) -> bool {
        self.others_idle(me)
    }

    /// The sentinel gives its role up, because everybody is idle. False: somebody began to work meanwhile, and it stays.
    pub fn resign(&self, me: usize) -> bool {
        // Ordering: [sleep:W2] Relaxed, ordered before the second look at the bits by F4.
        self.sentinel.store(NOBODY, Ordering::Relaxed);
        // Ordering: [sleep:F4] partner F5.
        fence(Ordering::SeqCst);
        !self.watch(me)
    }

    /// `me` begins to work. True if nobody watches while somebody could: then the caller claims a worker, who will.
    #[must_use]
    pub fn begin_work(&self, me: usize) -> bool {
        // Ordering: [sleep:W5] Relaxed; read after F5.
        let mut sentinel = self.sentinel.load(Ordering::Relaxed);
        if sentinel == me {
            // Ordering: [sleep:W6] Relaxed, ordered before the look at the bits by F6.
            self.sentinel.store(NOBODY, Ordering::Relaxed);
            // Ordering: [sleep:F6] partner F2: a worker that parks sees the role free, or its bit is seen below.
            fence(Ordering::SeqCst);
            sentinel = NOBODY;
        }
        sentinel == NOBODY && self.any_idle()
    }

    /// Idle workers and searchers, for tests and metrics.
    pub fn counts(&self) -> (usize, usize) {
        // Ordering: [sleep:I6] Relaxed, a snapshot.
        let idle = self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum();
        // Ordering: [sleep:S6] Relaxed, a snapshot.
        (idle, self.searching.load(Ordering::Relaxed))
    }
}
