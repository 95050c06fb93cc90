//! Work for the whole process: named scopes below the runtime's root (D47).
//!
//! Dropping a handle does not detach a task from its scope. What is to outlive the scope that it comes from is spawned into
//! a scope that lives longer, and the longest-living ones have a name here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ramus_scope::Root;

use crate::handle::Handle;
use crate::scope::ScopeHandle;
use crate::sync::Mutex;

/// The named scopes of one runtime; none once it shuts down.
pub(crate) struct Backgrounds(Mutex<Option<BTreeMap<Cow<'static, str>, Root<Handle>>>>);

impl Backgrounds {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Some(BTreeMap::new())))
    }

    fn find(&self, name: &str) -> Option<ScopeHandle> {
        self.0.lock().as_ref()?.get(name).map(|root| root.handle().clone())
    }

    /// The scope of that name: the one that is known, else `made`.
    fn keep(&self, name: Cow<'static, str>, made: Root<Handle>) -> ScopeHandle {
        let mut backgrounds = self.0.lock();
        let (handle, surplus) = match backgrounds.as_mut() {
            // A shutdown has begun: dropped, it is closed, and admits nobody.
            None => (made.handle().clone(), Some(made)),
            Some(known) => match known.get(&name) {
                Some(first) => (first.handle().clone(), Some(made)),
                None => {
                    let handle = made.handle().clone();
                    known.insert(name, made);
                    (handle, None)
                }
            },
        };
        drop(backgrounds);
        drop(surplus);
        handle
    }

    /// A shutdown begins: what is idle has ended, what is not admits until its last task has.
    pub(crate) fn close(&self) {
        let known = self.0.lock().take();
        drop(known);
    }
}

impl Handle {
    /// A scope for work of the whole process: below the runtime's root, with a name by which everybody finds it and by which
    /// [`Handle::tree`] shows it. The same name gives the same scope.
    ///
    /// A task in it outlives the scope that spawned it, and no running `block_on` waits for it. A failure stays with its
    /// handle. It is stopped, cancelled and waited for by the runtime's shutdown, as everything else; when that has begun,
    /// a scope without tasks has ended, and nothing can be spawned into it. Cancelling it is for good.
    ///
    /// Names are for a handful of scopes that the whole program knows: each one stays until the runtime ends.
    ///
    /// ```
    /// let runtime = ramus::Runtime::new()?;
    /// let audit = runtime.handle().background("audit");
    /// let task = audit.spawn(async { "written" });
    /// assert_eq!(runtime.block_on(task).unwrap(), "written");
    /// assert!(runtime.tree().to_string().contains("audit"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn background(&self, name: impl Into<Cow<'static, str>>) -> ScopeHandle {
        let name = name.into();
        let Ok(tenant) = self.tenant() else {
            // The runtime is gone: a scope that admits nothing.
            return Root::new(*self, name).handle().clone();
        };
        match tenant.backgrounds().find(&name) {
            Some(known) => known,
            None => {
                // Made outside of the lock: it may have to wake somebody.
                let made = Root::below(tenant.root(), name.clone());
                tenant.backgrounds().keep(name, made)
            }
        }
    }
}

/// A scope of the current runtime for work of the whole process. See [`Handle::background`].
///
/// ```
/// let runtime = ramus::Runtime::new()?;
/// runtime.block_on(async {
///     ramus::scope(|_s: ramus::Scope| async {
///         // The request is answered; what follows is nobody's concern but the process's.
///         drop(ramus::background("statistics").spawn(async { /* ... */ }));
///     })
///     .await
///     .unwrap();
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// Outside of a runtime. [`Handle::try_current`] tells beforehand.
#[track_caller]
pub fn background(name: impl Into<Cow<'static, str>>) -> ScopeHandle {
    Handle::current().background(name)
}
