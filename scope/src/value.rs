//! Values of a scope: what everything in it and below it can look up by type.
//!
//! They are set when the scope is opened and never change, so a look-up takes no lock: it walks up the tree, and the nearest
//! scope that has a value of the type answers. A value of a type in one scope hides those of the same type above it, for what
//! is below that scope and for nothing else. (asyncio's `contextvars` are copied at each spawn instead, and may be set at any
//! time; here a task cannot change what its siblings see.)

use std::any::{Any, TypeId, type_name};
use std::cell::RefCell;
use std::fmt;

use crate::frame::Frame;
use crate::handle::ScopeHandle;
use crate::host::Host;
use crate::membership::Membership;
use crate::raw;
use crate::scope::Builder;
use crate::sync::{Arc, local};
use crate::tree::Node;

/// A type whose values scopes may carry. Implemented for a type of one's own, so that two libraries never meet in a `String`.
///
/// ```
/// use ramus_scope::{Builder, Host, Scope, ScopeError, ScopeValue, current_value};
///
/// struct RequestId(u64);
/// impl ScopeValue for RequestId {}
///
/// async fn serve<H: Host>() -> Result<(), ScopeError> {
///     Builder::new()
///         .value(RequestId(7))
///         .open(|s: Scope<H>| async move {
///             s.spawn(async { log("a child sees it") });
///             Ok(())
///         })
///         .await
/// }
///
/// fn log(text: &str) {
///     let id = current_value::<RequestId>().map_or(0, |id| id.0);
///     println!("[{id}] {text}");
/// }
/// # log("nobody's");
/// ```
pub trait ScopeValue: Any + Send + Sync {}

#[derive(Clone)]
struct Value {
    id: TypeId,
    name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

/// The values of one scope: few, so a list.
#[derive(Clone, Default)]
pub(crate) struct Values(Vec<Value>);

impl Values {
    /// A second value of a type takes the place of the first.
    pub(crate) fn set<T: ScopeValue>(&mut self, value: T) {
        let id = TypeId::of::<T>();
        self.0.retain(|known| known.id != id);
        self.0.push(Value { id, name: type_name::<T>(), value: Arc::new(value) });
    }

    fn get(&self, id: TypeId) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.iter().find(|known| known.id == id).map(|known| Arc::clone(&known.value))
    }

    /// As a node keeps them: nothing, where there is none.
    pub(crate) fn boxed(self) -> Option<Box<Values>> {
        (!self.0.is_empty()).then(|| Box::new(self))
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|known| known.name)).finish()
    }
}

fn value_of<T: ScopeValue>(node: &Node) -> Option<Arc<T>> {
    let found = node.up(|node| node.values.as_ref()?.get(TypeId::of::<T>()))?;
    found.downcast().ok()
}

impl Builder {
    /// Gives the scope a value that everything in it and in the scopes below it can look up by type:
    /// [`ScopeHandle::value`](crate::ScopeHandle::value), [`current_value`](crate::current_value). The nearest one wins; a
    /// second one of the same type takes the place of the first.
    ///
    /// It lives as long as anything that belongs to the scope: its members, the scopes below it, and its handles, which may
    /// outlive it. So a value that holds a handle of its own scope is never dropped.
    ///
    /// ```
    /// use ramus_scope::{Builder, ScopeValue};
    ///
    /// struct RequestId(u64);
    /// impl ScopeValue for RequestId {}
    ///
    /// let builder = Builder::new().name("request").value(RequestId(7));
    /// # drop(builder);
    /// ```
    pub fn value<V: ScopeValue>(mut self, value: V) -> Builder {
        self.values.set(value);
        self
    }
}

impl<H: Host> ScopeHandle<H> {
    /// The value of type `T` that the scope was opened with ([`Builder::value`](crate::Builder::value)), or else the nearest
    /// one above it.
    ///
    /// ```
    /// use ramus_scope::{Host, ScopeHandle, ScopeValue};
    ///
    /// struct Tenant(String);
    /// impl ScopeValue for Tenant {}
    ///
    /// fn tenant_of<H: Host>(s: &ScopeHandle<H>) -> Option<String> {
    ///     s.value::<Tenant>().map(|tenant| tenant.0.clone())
    /// }
    /// ```
    pub fn value<T: ScopeValue>(&self) -> Option<Arc<T>> {
        value_of(self.node())
    }
}

// The scope whose job runs on this thread.
local! {
    static JOB_OF: RefCell<Option<Arc<Node>>> = RefCell::new(None)
}

/// The value of type `T` of the innermost scope around the code that runs on this thread: [`ScopeHandle::value`] without a
/// handle. `None` outside any scope.
///
/// ```
/// use ramus_scope::{ScopeValue, current_value};
///
/// struct Tenant;
/// impl ScopeValue for Tenant {}
///
/// // Outside of any scope:
/// assert!(current_value::<Tenant>().is_none());
/// ```
pub fn current_value<T: ScopeValue>() -> Option<Arc<T>> {
    let polled = raw::current(|frame| frame.and_then(Frame::scope)).map(|(node, _)| node);
    let node = polled.or_else(|| JOB_OF.try_with(|job| job.borrow().clone()).ok().flatten())?;
    value_of(&node)
}

/// Puts back what stood there before.
struct Restore(Option<Arc<Node>>);

impl Drop for Restore {
    fn drop(&mut self) {
        let before = self.0.take();
        let own = JOB_OF.try_with(|job| job.replace(before));
        drop(own);
    }
}

impl Membership {
    /// Runs `work` on this thread as code of the scope: [`current_value`] finds its values in it.
    ///
    /// ```
    /// # use ramus_scope::{Host, ScopeHandle};
    /// # fn example<H: Host>(scope: &ScopeHandle<H>) {
    /// if let Ok(membership) = scope.admit() {
    ///     std::thread::spawn(move || membership.run(|| println!("sees the values of the scope")));
    /// }
    /// # }
    /// ```
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        run_in(self.node(), work)
    }
}

impl<H> ScopeHandle<H> {
    /// As [`Membership::run`], for work whose membership is held elsewhere.
    ///
    /// ```
    /// # fn example<H: ramus_scope::Host>(scope: &ramus_scope::ScopeHandle<H>) {
    /// scope.run(|| println!("sees the values of the scope"));
    /// # }
    /// ```
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        run_in(Arc::clone(self.node()), work)
    }
}

fn run_in<R>(node: Arc<Node>, work: impl FnOnce() -> R) -> R {
    let before = JOB_OF.try_with(|job| job.replace(Some(node))).ok().flatten();
    let _restore = Restore(before);
    work()
}
