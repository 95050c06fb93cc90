//! The attributes `#[ramus::main]` and `#[ramus::test]`. Use them through the crate `ramus`, which re-exports them.

#![forbid(unsafe_code)]

mod expand;
mod options;

use proc_macro::TokenStream;

/// Makes an `async fn main` the start of a program: builds a runtime and blocks on the function's body.
///
/// The program goes on to its end when the body has ended: every other task of the runtime is cancelled then, and the
/// runtime waits for those that clean up. What the body returns is what `main` returns.
///
/// ```
/// #[ramus::main]
/// async fn main() -> std::io::Result<()> {
///     let answer = ramus::spawn(async { 40 + 2 }).await?;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
///
/// Options:
///
/// * `worker_threads = N`: the number of workers instead of one per core. Any expression of type `usize`.
/// * `crate = "path"`: where the crate `ramus` is found, if it was renamed or re-exported.
///
/// ```
/// use ramus as runtime;
///
/// #[runtime::main(worker_threads = 2, crate = "runtime")]
/// async fn main() {
///     runtime::yield_now().await;
/// }
/// ```
///
/// # Errors
///
/// At compile time: a function that is not `async`, that has parameters or generics, and an option that does not exist,
/// each shown where it stands.
///
/// ```compile_fail
/// #[ramus::main]
/// fn main() {}
/// ```
///
/// ```compile_fail
/// #[ramus::main]
/// async fn main(argument: u8) {}
/// ```
///
/// ```compile_fail
/// #[ramus::main(threads = 2)]
/// async fn main() {}
/// ```
///
/// # Panics
///
/// The program, if the system refuses what a runtime needs: threads, descriptors.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(expand::Kind::Main, options.into(), item.into()).into()
}

/// Makes an `async fn` a test: each run has a runtime of its own, with two workers unless told otherwise.
///
/// Other attributes (`#[ignore]`, `#[should_panic]`) work as on any test, and so does a `Result` as the return type.
///
/// ```
/// # // A test is not compiled into a documentation test; the attribute itself is checked here.
/// #[ramus::test]
/// async fn joins() {
///     assert_eq!(ramus::spawn(async { 1 }).await.unwrap(), 1);
/// }
///
/// #[ramus::test(worker_threads = 1)]
/// #[should_panic(expected = "seen")]
/// async fn fails() {
///     panic!("seen");
/// }
/// ```
///
/// The options are those of [`macro@main`], and some that make the test run in a simulation instead of a real runtime: one
/// thread, virtual time, and every choice of the scheduler drawn from a seed. They need the feature `test-util` of `ramus`;
/// its module `testing` tells more.
///
/// * `start_paused`: in virtual time, with the seed 0.
/// * `seed = N`: with this seed; `seed = A..B` runs the test once with each of them. Any expression of type `u64`.
/// * `seeds = N`: once with each seed from 0 to N - 1.
/// * `workers = N`: the number of simulated workers instead of one. Any expression of type `usize`.
///
/// The environment variable `RAMUS_SEED` replaces all seeds by one: that of a run that has failed, which is printed.
///
/// ```
/// # // As above.
/// #[ramus::test(start_paused)]
/// async fn an_hour_takes_no_time() {
///     ramus::sleep(std::time::Duration::from_secs(3600)).await;
/// }
///
/// #[ramus::test(seeds = 100, workers = 4)]
/// async fn holds_in_a_hundred_orders() {
///     let tasks: Vec<_> = (0..10).map(|number| ramus::spawn(async move { number })).collect();
///     for (number, task) in tasks.into_iter().enumerate() {
///         assert_eq!(task.await.unwrap(), number);
///     }
/// }
/// ```
///
/// ```compile_fail
/// #[ramus::test(start_paused, workers = 0)]
/// async fn nobody_works() {}
/// ```
///
/// ```compile_fail
/// #[ramus::test]
/// fn not_async() {}
/// ```
///
/// ```compile_fail
/// #[ramus::test]
/// #[test]
/// async fn twice() {}
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(expand::Kind::Test, options.into(), item.into()).into()
}
