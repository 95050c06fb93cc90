//! What the types promise: `Send`, `Sync` and their sizes.
#![allow(missing_docs)]

mod common;

use std::io;
use std::mem::size_of;

use common::Sim;
use ramus_scope::*;

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn is_send<T: Send>(_: &T) {}

#[test]
fn public_types_cross_threads() {
    fn both<T: Send + Sync>() {
        send::<T>();
        sync::<T>();
    }
    both::<Scope<Sim>>();
    both::<Scope<Sim, io::Error>>();
    both::<ScopeHandle<Sim>>();
    both::<Root<Sim>>();
    both::<Builder>();
    both::<Reason>();
    both::<ReasonKind>();
    both::<Cancelled>();
    both::<JoinError>();
    both::<ScopeError>();
    both::<ScopeError<io::Error>>();
    both::<Refused<u8>>();
    both::<TaskCancel>();
    both::<Place>();
    both::<TreeRow>();
    both::<WaitCancelled>();
    both::<WaitStopping>();
    both::<Resume<u8>>();
    send::<Membership>();
    send::<Member<u8>>();
    send::<MemberFuture<u8>>();
    is_send(&shield_unbounded(async {}));
    is_send(&run_until_cancelled(async {}));
    is_send(&CutOn::new(async {}, async {}));
    is_send(&scope(|_: Scope<Sim>| async { Ok(()) }));
}

#[test]
fn sizes() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<TaskCancel>(), word);
    assert_eq!(size_of::<Place>(), word);
    // The seat, and two words for its place in the list and all flags.
    assert!(size_of::<Member<Box<u8>>>() <= word + 3 * word, "{}", size_of::<Member<Box<u8>>>());
}
