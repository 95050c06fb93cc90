//! From an `async fn` to a function that builds a runtime and blocks on the body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{AttrStyle, Error, Expr, ItemFn};

use crate::options::{Options, Simulated};

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Main,
    Test,
}

/// The function that takes the place of `item`, with every mistake found as a compile error. The function itself is
/// given back beside the errors, so that its callers are not reported as well.
pub(crate) fn expand(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    let options = syn::parse2::<Options>(options);
    let mut problems = check(kind, &function);
    let options = options.unwrap_or_else(|error| {
        problems.push(error);
        Options::default()
    });
    if kind == Kind::Main && options.simulation.is_some() {
        let message = "#[ramus::main] runs in real time: `start_paused`, `seed` and `seeds` are for #[ramus::test]";
        problems.push(Error::new(Span::call_site(), message));
    }
    if problems.is_empty() {
        return build(kind, &options, function);
    }
    let errors = problems.iter().map(Error::to_compile_error);
    let attributes = function.attrs.iter().filter(|one| matches!(one.style, AttrStyle::Outer));
    let (visibility, name) = (&function.vis, &function.sig.ident);
    let stub = match kind {
        Kind::Main => quote!(#(#attributes)* #visibility fn #name() {}),
        Kind::Test => quote!(),
    };
    quote!(#(#errors)* #stub)
}

fn check(kind: Kind, function: &ItemFn) -> Vec<Error> {
    let attribute = match kind {
        Kind::Main => "#[ramus::main]",
        Kind::Test => "#[ramus::test]",
    };
    let signature = &function.sig;
    let mut problems = Vec::new();
    if signature.asyncness.is_none() {
        let message = format!("{attribute} needs an `async fn`: without `async` there is nothing to run");
        problems.push(Error::new(signature.fn_token.span, message));
    }
    if !signature.inputs.is_empty() {
        let message = format!("a function with {attribute} has no parameters: nobody would pass them");
        problems.push(Error::new_spanned(&signature.inputs, message));
    }
    if !signature.generics.params.is_empty() {
        let message = format!("a function with {attribute} cannot be generic");
        problems.push(Error::new_spanned(&signature.generics.params, message));
    }
    let doubled = function.attrs.iter().find(|attribute| kind == Kind::Test && attribute.path().is_ident("test"));
    if let Some(doubled) = doubled {
        problems.push(Error::new_spanned(doubled, "#[ramus::test] adds #[test] itself"));
    }
    problems
}

fn build(kind: Kind, options: &Options, function: ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, mut sig, block } = function;
    sig.asyncness = None;
    // `#![...]` in the body stays in the body: it is not allowed anywhere else.
    let (attrs, inner): (Vec<_>, Vec<_>) = attrs.into_iter().partition(|one| matches!(one.style, AttrStyle::Outer));
    let krate = &options.krate;
    let harness = match kind {
        Kind::Main => quote!(),
        Kind::Test => quote!(#[::core::prelude::v1::test]),
    };
    if let Some(simulated) = &options.simulation {
        let run = simulate(krate, simulated, &block);
        return quote! { #harness #(#attrs)* #vis #sig { #(#inner)* #run } };
    }
    let workers = match (&options.worker_threads, kind) {
        (Some(number), _) => {
            // Spanned to the number, so that a wrong type is shown there.
            let method = quote_spanned!(number.span()=> worker_threads);
            quote!(.#method(#number))
        }
        (None, Kind::Main) => quote!(),
        (None, Kind::Test) => quote!(.worker_threads(2)),
    };
    let statements = &block.stmts;
    // A body of the wrong type is shown where its value stands.
    let value = block.stmts.last().map_or_else(|| block.span(), Spanned::span);
    // A name of the macro's own: the body cannot see it.
    let runtime = Ident::new("runtime", Span::mixed_site());
    let receiver = Ident::new("runtime", Span::mixed_site().located_at(value));
    let run = quote_spanned!(value=> #receiver.block_on(async move { #(#statements)* }));
    quote! {
        #harness
        #(#attrs)*
        #vis #sig {
            #(#inner)*
            let #runtime = match #krate::Builder::new_multi_thread() #workers .build() {
                ::core::result::Result::Ok(runtime) => runtime,
                ::core::result::Result::Err(error) => {
                    ::core::panic!("the runtime could not be built: {}", error)
                }
            };
            #run
        }
    }
}

/// The call that runs the body once for each seed.
fn simulate(krate: &syn::Path, simulated: &Simulated, block: &syn::Block) -> TokenStream {
    let seeds = match (&simulated.seed, &simulated.seeds) {
        // A range may be of any integer type: as an iterator of seeds it is of this one.
        (Some(range @ Expr::Range(_)), _) => quote_spanned!(range.span()=> #range),
        (Some(seed), _) => quote_spanned!(seed.span()=> ::core::iter::once::<u64>(#seed)),
        (None, Some(seeds)) => quote_spanned!(seeds.span()=> 0..#seeds),
        (None, None) => quote!(::core::iter::once::<u64>(0)),
    };
    let workers = simulated.workers.as_ref().map_or_else(|| quote!(1), |workers| quote!(#workers));
    let statements = &block.stmts;
    let value = block.stmts.last().map_or_else(|| block.span(), Spanned::span);
    let body = quote_spanned!(value=> || async move { #(#statements)* });
    quote!(#krate::testing::run_test(#seeds, #workers, #body))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of the compile errors in the expansion.
    fn errors(kind: Kind, options: TokenStream, item: TokenStream) -> Vec<String> {
        let text = expand(kind, options, item).to_string();
        let messages = text.split("compile_error").skip(1);
        messages.map(|rest| rest.split('"').nth(1).unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn mistakes_are_named_all_at_once() {
        let found = errors(
            Kind::Main,
            quote!(threads = 2),
            quote!(
                fn main<T>(argument: T) {}
            ),
        );
        assert_eq!(found.len(), 4, "{found:?}");
        for (message, said) in found.iter().zip(["async fn", "no parameters", "generic", "unknown option `threads`"]) {
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn options_are_given_once_and_well_formed() {
        let of = |options| {
            errors(
                Kind::Test,
                options,
                quote!(
                    async fn x() {}
                ),
            )
        };
        assert_eq!(of(quote!(worker_threads = 1, crate = "a::b")), [""; 0]);
        assert_eq!(of(quote!(worker_threads = 1, worker_threads = 2)), ["`worker_threads` is given twice"]);
        assert_eq!(of(quote!(crate = "a", crate = "b")), ["`crate` is given twice"]);
        assert_eq!(of(quote!(crate = a)).len(), 1);
        assert!(of(quote!(flavor = "current_thread"))[0].contains("worker_threads = 1"), "as tokio's is written");
        assert_eq!(of(quote!(worker_threads)).len(), 1);
    }

    #[test]
    fn a_simulation_has_options_of_its_own() {
        let of = |kind, options| {
            errors(
                kind,
                options,
                quote!(
                    async fn x() {}
                ),
            )
        };
        for good in [
            quote!(start_paused),
            quote!(start_paused = true, seed = 7, workers = 4),
            quote!(seed = 1..100),
            quote!(seeds = SEEDS, crate = "a"),
            quote!(start_paused = false),
        ] {
            assert_eq!(of(Kind::Test, good.clone()), [""; 0], "{good}");
        }
        for (bad, said) in [
            (quote!(workers = 4), "add `start_paused`"),
            (quote!(start_paused, workers = 0), "at least one worker"),
            (quote!(seeds = 0), "would not run"),
            (quote!(seed = 1, seeds = 2), "two ways"),
            (quote!(start_paused, worker_threads = 2), "say `workers`"),
            (quote!(start_paused = false, seed = 1), "is off here"),
            (quote!(start_paused = yes), "boolean"),
            (quote!(start_paused, start_paused), "`start_paused` is given twice"),
        ] {
            let found = of(Kind::Test, bad.clone());
            assert!(found.len() == 1 && found[0].contains(said), "{bad}: {found:?}");
        }
        assert!(of(Kind::Main, quote!(start_paused))[0].contains("real time"));
    }

    #[test]
    fn a_test_is_not_made_twice() {
        let found = errors(
            Kind::Test,
            quote!(),
            quote!(
                #[test]
                async fn x() {}
            ),
        );
        assert_eq!(found, ["#[ramus::test] adds #[test] itself"]);
    }

    #[test]
    fn an_attribute_inside_of_the_body_stays_there() {
        for options in [quote!(), quote!(start_paused)] {
            let item = quote!(
                #[ignore]
                async fn x() {
                    #![allow(unused_variables)]
                    let y = 1;
                }
            );
            let text = expand(Kind::Test, options, item).to_string();
            let (head, body) = text.split_once("fn x () {").unwrap();
            assert!(head.contains("# [ignore]") && !head.contains("allow"), "{text}");
            assert!(body.trim_start().starts_with("# ! [allow (unused_variables)]"), "{text}");
        }
    }

    #[test]
    fn the_function_keeps_its_shape() {
        let item = quote!(
            #[ignore]
            pub async fn x() -> u8 {
                7
            }
        );
        let text = expand(Kind::Test, quote!(worker_threads = 3, crate = "other"), item).to_string();
        for part in ["# [ignore]", "pub fn x () -> u8", "worker_threads (3)", "other :: Builder", "v1 :: test"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
