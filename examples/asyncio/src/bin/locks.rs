//! `Lock`, `Semaphore`, `Barrier`, `Event`: `sync::lock` and `sync::Event`. A lock guards a value and is released by the drop
//! of its guard, so a cancelled task cannot keep it. Where a semaphore only limits how many children run, a scope's own
//! `task_limit` does.
//!
//! ```python
//! async with lock:
//!     counter += await step()
//! async with semaphore:                        # at most two at once
//!     await fetch()
//! await barrier.wait()                         # until all three are here
//! await event.wait()
//! ```
//!
//! Prints:
//!
//! ```text
//! counted to 10
//! never more than 2 at once: true
//! one of three leads: 1
//! the lock of a cancelled task is free: true
//! never more than 2 children at once: true
//! ```

use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ramus::sync::Event;
use ramus::sync::lock::{Barrier, Mutex, Semaphore};
use ramus::{BoxError, Scope, join_all, scope, yield_now};

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// How many are inside, and how many there were at most.
#[derive(Default)]
struct Room {
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Room {
    async fn visit(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        yield_now().await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[ramus::main]
async fn main() -> Result<(), BoxError> {
    scope(|s: Scope| async move {
        let counter = Arc::new(Mutex::new(0));
        join_all([(); 10].map(|()| {
            let counter = Arc::clone(&counter);
            s.spawn(async move {
                let mut counter = counter.lock().await;
                let old = *counter;
                yield_now().await;
                *counter = old + 1;
            })
        }))
        .await;
        println!("counted to {}", counter.lock().await);

        let (semaphore, room) = (Arc::new(Semaphore::new(2)), Arc::new(Room::default()));
        join_all([(); 10].map(|()| {
            let (semaphore, room) = (Arc::clone(&semaphore), Arc::clone(&room));
            s.spawn(async move {
                let _permit = semaphore.acquire().await;
                room.visit().await;
            })
        }))
        .await;
        println!("never more than 2 at once: {}", room.most.load(Ordering::SeqCst) <= 2);

        let barrier = Arc::new(Barrier::new(3));
        let three = join_all([(); 3].map(|()| {
            let barrier = Arc::clone(&barrier);
            s.spawn(async move { barrier.wait().await.is_leader() })
        }));
        println!("one of three leads: {}", three.await.iter().filter(|led| matches!(led, Ok(true))).count());

        let locked = Arc::new(Event::new());
        let (owned, has_it) = (Arc::clone(&counter), Arc::clone(&locked));
        let owner = s.spawn(async move {
            let _guard = owned.lock().await;
            has_it.set();
            pending::<()>().await;
        });
        locked.wait().await;
        owner.cancel("has it for too long");
        let ended = owner.await.is_err();
        println!("the lock of a cancelled task is free: {}", ended && counter.try_lock().is_some());
        Ok(())
    })
    .await?;

    let room = Arc::new(Room::default());
    let visited = Arc::clone(&room);
    Scope::builder()
        .task_limit(TWO)
        .open(|s: Scope| async move {
            for _ in 0..10 {
                let room = Arc::clone(&visited);
                // Waits until one of the two has ended.
                drop(s.spawn_when_free(async move { room.visit().await }).await?);
            }
            Ok(())
        })
        .await?;
    println!("never more than 2 children at once: {}", room.most.load(Ordering::SeqCst) <= 2);
    Ok(())
}
