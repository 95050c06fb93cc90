//! The path of scopes that a cancel came down: from the outermost one to the one where it started.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

use crate::tree::Node;

/// How many scopes are kept at each end of a path.
const KEPT: usize = 8;

/// How many scopes are looked at on the way up, so that the many cancels of a very deep tree do not cost its depth each.
const LOOKED_AT: usize = 1024;

/// One scope of a [`ScopePath`]: its name, or where in the source it was opened. Displayed as whichever there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathScope {
    name: Option<Cow<'static, str>>,
    site: &'static Location<'static>,
}

impl PathScope {
    /// The name of the scope, if it has one.
    ///
    /// ```
    /// # fn look(reason: &ramus_scope::Reason) {
    /// let names: Vec<&str> = reason.path().scopes().iter().filter_map(|scope| scope.name()).collect();
    /// # drop(names);
    /// # }
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where in the source it was opened.
    ///
    /// ```
    /// # fn look(reason: &ramus_scope::Reason) {
    /// for scope in reason.path().scopes() {
    ///     eprintln!("{scope}, opened at {}", scope.site());
    /// }
    /// # }
    /// ```
    pub fn site(&self) -> &'static Location<'static> {
        self.site
    }
}

impl fmt::Display for PathScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{}:{}", self.site.file(), self.site.line()),
        }
    }
}

/// The scopes from the outermost one to the one a cancel started from; see [`Reason::path`](crate::Reason::path).
///
/// At most 16 are kept: the outermost and the innermost ones. It displays as one line, `root/server/request`; in place of a
/// name that was not given stands where the scope was opened, in brackets: `root/(src/main.rs:12)`.
///
/// ```
/// use ramus_scope::{Host, Scope};
///
/// fn why<H: Host>(s: &Scope<H>) {
///     if let Some(reason) = s.reason() {
///         eprintln!("cancelled in {}", reason.path());
///     }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ScopePath {
    /// The outermost one first.
    scopes: Vec<PathScope>,
    /// How many of them come before those that were left out.
    outer: usize,
    elided: usize,
}

/// The path of a reason that has started nowhere yet.
pub(crate) static NOWHERE: ScopePath = ScopePath { scopes: Vec::new(), outer: 0, elided: 0 };

impl ScopePath {
    pub(crate) fn to(node: &Node) -> ScopePath {
        let mut depth = 0;
        each(node, |_| depth += 1);
        let (inner, outer) = (depth.min(KEPT), depth.saturating_sub(KEPT).min(KEPT));
        let mut scopes = Vec::with_capacity(inner + outer);
        let mut at = 0;
        each(node, |node| {
            if at < inner || at >= depth - outer {
                scopes.push(PathScope { name: node.name.clone(), site: node.site });
            }
            at += 1;
        });
        scopes.reverse();
        ScopePath { scopes, outer, elided: depth - inner - outer }
    }

    /// The scopes that are kept, the outermost one first. Empty for a reason that no scope was cancelled for.
    ///
    /// ```
    /// # fn look(reason: &ramus_scope::Reason) {
    /// if let Some(innermost) = reason.path().scopes().last() {
    ///     eprintln!("it started in {innermost}");
    /// }
    /// # }
    /// ```
    pub fn scopes(&self) -> &[PathScope] {
        &self.scopes
    }

    /// How many scopes in the middle were left out. In a tree that is more than a thousand scopes deep the outermost ones are not
    /// looked at, and this is a lower bound.
    ///
    /// ```
    /// assert_eq!(ramus_scope::Reason::from("enough").path().elided(), 0);
    /// ```
    pub fn elided(&self) -> usize {
        self.elided
    }
}

impl fmt::Display for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.scopes.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            if at == self.outer && self.elided > 0 {
                write!(f, "({} more)/", self.elided)?;
            }
            match &scope.name {
                Some(name) => f.write_str(name)?,
                None => write!(f, "({scope})")?,
            }
        }
        Ok(())
    }
}

/// Shows `node` and the scopes around it, from the inside out.
fn each(node: &Node, mut show: impl FnMut(&Node)) {
    let mut left = LOOKED_AT;
    let _: Option<()> = node.up(|node| {
        show(node);
        left -= 1;
        (left == 0).then_some(())
    });
}
