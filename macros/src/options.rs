//! What stands in the brackets of an attribute.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, LitStr, Path, Token, parse_quote};

/// The options of `#[ramus::main]` and `#[ramus::test]`.
pub(crate) struct Options {
    pub(crate) worker_threads: Option<Expr>,
    /// The path of the crate `ramus`.
    pub(crate) krate: Path,
}

impl Default for Options {
    fn default() -> Self {
        Options { worker_threads: None, krate: parse_quote!(::ramus) }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> syn::Result<Options> {
        let mut options = Options::default();
        let mut is_crate_given = false;
        while !input.is_empty() {
            if input.peek(Token![crate]) {
                let keyword: Token![crate] = input.parse()?;
                if std::mem::replace(&mut is_crate_given, true) {
                    return Err(Error::new(keyword.span, "`crate` is given twice"));
                }
                input.parse::<Token![=]>()?;
                options.krate = input.parse::<LitStr>()?.parse()?;
            } else {
                let name: syn::Ident = input.parse()?;
                if name != "worker_threads" {
                    let message = format!("unknown option `{name}`; there are `worker_threads` and `crate`");
                    return Err(Error::new(name.span(), message));
                }
                if options.worker_threads.is_some() {
                    return Err(Error::new(name.span(), "`worker_threads` is given twice"));
                }
                input.parse::<Token![=]>()?;
                options.worker_threads = Some(input.parse()?);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}
