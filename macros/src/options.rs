//! What stands in the brackets of an attribute.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, Lit, LitBool, LitStr, Path, Token, parse_quote};

/// The options of `#[ramus::main]` and `#[ramus::test]`.
pub(crate) struct Options {
    pub(crate) worker_threads: Option<Expr>,
    /// The path of the crate `ramus`.
    pub(crate) krate: Path,
    /// The test runs in a simulation.
    pub(crate) simulation: Option<Simulated>,
}

/// The options of a test that runs in a simulation.
#[derive(Default)]
pub(crate) struct Simulated {
    /// A number, or a range of them.
    pub(crate) seed: Option<Expr>,
    /// How many seeds, from 0 on.
    pub(crate) seeds: Option<Expr>,
    pub(crate) workers: Option<Expr>,
}

impl Default for Options {
    fn default() -> Self {
        Options { worker_threads: None, krate: parse_quote!(::ramus), simulation: None }
    }
}

/// The options as they are written, each with its place.
#[derive(Default)]
struct Written {
    worker_threads: Option<(Span, Expr)>,
    krate: Option<Path>,
    start_paused: Option<(Span, bool)>,
    seed: Option<(Span, Expr)>,
    seeds: Option<(Span, Expr)>,
    workers: Option<(Span, Expr)>,
}

/// Sets an option, or says that it was set before.
fn once<T>(place: &mut Option<T>, span: Span, name: &str, value: T) -> syn::Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(span, format!("`{name}` is given twice"))),
    }
}

impl Written {
    fn option(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        if input.peek(Token![crate]) {
            let keyword: Token![crate] = input.parse()?;
            input.parse::<Token![=]>()?;
            return once(&mut self.krate, keyword.span, "crate", input.parse::<LitStr>()?.parse()?);
        }
        let name: syn::Ident = input.parse()?;
        let span = name.span();
        if name == "start_paused" {
            // Alone it is a yes.
            let paused = match input.parse::<Option<Token![=]>>()? {
                Some(_) => input.parse::<LitBool>()?.value,
                None => true,
            };
            return once(&mut self.start_paused, span, "start_paused", (span, paused));
        }
        let text = name.to_string();
        let place = match text.as_str() {
            "worker_threads" => &mut self.worker_threads,
            "seed" => &mut self.seed,
            "seeds" => &mut self.seeds,
            "workers" => &mut self.workers,
            "flavor" => {
                let message =
                    "`flavor` is not needed: there is one scheduler, and `worker_threads = 1` gives it one thread";
                return Err(Error::new(span, message));
            }
            _ => {
                let message = format!(
                    "unknown option `{name}`; there are `worker_threads` and `crate`, and for tests `start_paused`, \
                     `seed`, `seeds` and `workers`"
                );
                return Err(Error::new(span, message));
            }
        };
        input.parse::<Token![=]>()?;
        once(place, span, &text, (span, input.parse()?))
    }

    /// Options that stand together.
    fn check(self) -> syn::Result<Options> {
        let mut options = Options::default();
        let simulated = [&self.seed, &self.seeds, &self.workers].into_iter().flatten().map(|(span, _)| *span).next();
        let is_paused = match self.start_paused {
            Some((span, false)) if simulated.is_some() => {
                return Err(Error::new(
                    span,
                    "`seed`, `seeds` and `workers` are for `start_paused`, which is off here",
                ));
            }
            Some((_, paused)) => paused,
            // A seed means nothing elsewhere.
            None => self.seed.is_some() || self.seeds.is_some(),
        };
        if let (Some((span, _)), false) = (&self.workers, is_paused) {
            let message = "`workers` are simulated: add `start_paused`, or say `worker_threads`";
            return Err(Error::new(*span, message));
        }
        if let (Some((span, _)), true) = (&self.worker_threads, is_paused) {
            return Err(Error::new(*span, "a simulation has no threads: say `workers`"));
        }
        if let (Some(_), Some((span, _))) = (&self.seed, &self.seeds) {
            return Err(Error::new(*span, "`seed` and `seeds` are two ways to say the same"));
        }
        if let Some((_, zero)) = self.workers.as_ref().filter(|(_, workers)| is_zero(workers)) {
            return Err(Error::new(zero.span(), "a simulation needs at least one worker"));
        }
        if let Some((_, zero)) = self.seeds.as_ref().filter(|(_, seeds)| is_zero(seeds)) {
            return Err(Error::new(zero.span(), "without a seed the test would not run"));
        }
        let value = |option: Option<(Span, Expr)>| option.map(|(_, value)| value);
        options.krate = self.krate.unwrap_or(options.krate);
        options.worker_threads = value(self.worker_threads);
        options.simulation = is_paused.then(|| Simulated {
            seed: value(self.seed),
            seeds: value(self.seeds),
            workers: value(self.workers),
        });
        Ok(options)
    }
}

fn is_zero(number: &Expr) -> bool {
    match number {
        Expr::Lit(literal) => matches!(&literal.lit, Lit::Int(number) if number.base10_digits() == "0"),
        _ => false,
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let mut written = Written::default();
        while !input.is_empty() {
            written.option(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        written.check()
    }
}
