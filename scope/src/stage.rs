//! What a scope's future holds of its user's: the body to be made, the body, its value.

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::inside::{self, Payload};
use crate::scope::Builder;

pin_project! {
    // One after the other, so they share their place.
    #[project = StageView]
    pub(crate) enum Stage<F, Fut, T> {
        Open { open: Option<(Builder, F)> },
        Body { #[pin] body: Option<Fut> },
        Value { value: Option<T> },
    }
}

impl<F, Fut, T> Stage<F, Fut, T> {
    /// How the scope is opened, once.
    pub(crate) fn take_open(self: Pin<&mut Self>) -> Option<(Builder, F)> {
        match self.project() {
            StageView::Open { open } => open.take(),
            StageView::Body { .. } | StageView::Value { .. } => None,
        }
    }

    /// The body, if it was made and no value has taken its place.
    pub(crate) fn body(self: Pin<&mut Self>) -> Option<Pin<&mut Option<Fut>>> {
        match self.project() {
            StageView::Body { body } => Some(body),
            StageView::Open { .. } | StageView::Value { .. } => None,
        }
    }

    /// Drops the body, if it is there; a panic of a destructor is a value.
    pub(crate) fn drop_body(self: Pin<&mut Self>) -> Result<(), Payload> {
        self.body().map_or(Ok(()), inside::drop_caught)
    }

    /// What the body came to, once.
    pub(crate) fn take_value(self: Pin<&mut Self>) -> Option<T> {
        match self.project() {
            StageView::Value { value } => value.take(),
            StageView::Open { .. } | StageView::Body { .. } => None,
        }
    }
}

/// What a poll of the body came to.
pub(crate) enum Gone {
    No,
    Yes,
    /// It was dropped, and the scope was closed before.
    GivenUp,
    /// It is polled by one of its own tasks.
    Inside,
}
