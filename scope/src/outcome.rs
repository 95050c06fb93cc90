//! What the body of a scope may return.

/// The output of a scope's body: a `Result` with the scope's error, or nothing.
///
/// ```
/// use ramus_scope::Outcome;
///
/// let whole: Result<u8, std::io::Error> = Ok(1);
/// assert_eq!(Outcome::<std::io::Error>::into_result(whole).unwrap(), 1);
/// assert_eq!(Outcome::<std::io::Error>::into_result(()).unwrap(), ());
/// ```
#[diagnostic::on_unimplemented(
    message = "the body of a scope ends with nothing or with a `Result<_, {E}>`, not with `{Self}`",
    label = "this body ends with `{Self}`",
    note = "a value is given as `Ok(value)`; the error type is that of the closure's parameter, as in `|s: Scope<io::Error>|`"
)]
pub trait Outcome<E> {
    /// What the scope answers with when all went well.
    type Value;

    /// The value, or the error that fails the scope.
    ///
    /// # Errors
    ///
    /// The error of the body.
    fn into_result(self) -> Result<Self::Value, E>;
}

impl<E> Outcome<E> for () {
    type Value = ();

    fn into_result(self) -> Result<(), E> {
        Ok(())
    }
}

impl<T, E> Outcome<E> for Result<T, E> {
    type Value = T;

    fn into_result(self) -> Result<T, E> {
        self
    }
}
