//! The documents of the project, included so that rustdoc checks their links and runs their examples. There is no code in
//! here, and nothing depends on it.

#[doc = include_str!("../README.md")]
pub mod readme {}

#[doc = include_str!("design.md")]
pub mod design {}

#[doc = include_str!("contract.md")]
pub mod contract {}

#[doc = include_str!("from-asyncio.md")]
pub mod from_asyncio {}

#[doc = include_str!("benchmarks.md")]
pub mod benchmarks {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("ordering.md")]
pub mod ordering {}

#[doc = include_str!("../scope/README.md")]
pub mod scope {}

#[doc = include_str!("../timer/README.md")]
pub mod timer {}
