//! What the checks see of a source file: its code without comments and texts, the paths that it names, and its comments.

/// A source file taken apart.
pub(crate) struct Source {
    /// The code, with comments and the insides of texts blanked; lines are kept.
    pub code: String,
    /// The comments, with everything else blanked; lines are kept.
    pub comments: String,
}

impl Source {
    pub(crate) fn new(text: &str) -> Source {
        let (code, comments) = split(text);
        Source { code, comments }
    }

    /// The same without the test module that ends the file, if there is one.
    pub(crate) fn without_tests(text: &str) -> Source {
        let end = text.find("#[cfg(test)]\nmod tests").or_else(|| text.find("#[cfg(all(test,")).unwrap_or(text.len());
        Source::new(&text[..end])
    }

    /// Every path in the code with its line; `use a::{b, c::d}` names `a::b` and `a::c::d`, and a single word is a path.
    pub(crate) fn paths(&self) -> Vec<(usize, String)> {
        let tokens = tokens(&self.code);
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            at = path(&tokens, at, "", &mut paths);
        }
        paths
    }

    /// The lines on which the code names `wanted` as a whole path or as a part of one.
    pub(crate) fn mentions(&self, wanted: &str) -> Vec<usize> {
        let found = self.paths().into_iter().filter(|(_, path)| contains_path(path, wanted));
        found.map(|(line, _)| line).collect()
    }
}

/// True if the segments of `wanted` stand in `path`, side by side.
pub(crate) fn contains_path(path: &str, wanted: &str) -> bool {
    let path: Vec<&str> = path.split("::").collect();
    let wanted: Vec<&str> = wanted.split("::").collect();
    path.windows(wanted.len()).any(|window| window == wanted)
}

fn split(text: &str) -> (String, String) {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut comments = String::with_capacity(text.len());
    let mut at = 0;
    let mut put = |from: usize, to: usize, into_code: bool, into_comments: bool| {
        for &c in &chars[from..to] {
            let blank = if c == '\n' { '\n' } else { ' ' };
            code.push(if into_code { c } else { blank });
            comments.push(if into_comments { c } else { blank });
        }
    };
    while at < chars.len() {
        let rest = &chars[at..];
        let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let (length, is_comment) = match rest {
            ['/', '/', ..] => (rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()), true),
            ['/', '*', ..] => (block_comment(rest), true),
            ['"', ..] => (quoted(rest, '"'), false),
            ['r' | 'b' | 'c', ..] if !after_word => match raw_text(rest) {
                Some(length) => (length, false),
                None => {
                    put(at, at + 1, true, false);
                    at += 1;
                    continue;
                }
            },
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => (quoted(rest, '\''), false),
            _ => {
                put(at, at + 1, true, false);
                at += 1;
                continue;
            }
        };
        put(at, at + length, false, is_comment);
        at += length;
    }
    (code, comments)
}

/// The length of the block comment that `rest` starts with; they nest.
fn block_comment(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the text or character that `rest` starts with.
fn quoted(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of the raw text that `rest` starts with, if it starts with one.
fn raw_text(rest: &[char]) -> Option<usize> {
    let prefix = if rest[0] == 'r' { 1 } else { 2 };
    if prefix == 2 && rest.get(1) != Some(&'r') {
        return None;
    }
    let hashes = rest[prefix.min(rest.len())..].iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| rest[*at] == '"' && rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    let close = (open + 1..rest.len()).find(closes)?;
    Some(close + 1 + hashes)
}

/// The words and signs of `code` with their lines; `::` is one sign.
fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if word > 0 {
            word
        } else if rest.starts_with("::") {
            2
        } else {
            c.len_utf8()
        };
        if c == '\n' {
            line += 1;
        }
        if !c.is_whitespace() {
            tokens.push((line, &rest[..length]));
        }
        rest = &rest[length..];
    }
    tokens
}

/// Reads the path at `at`, with `prefix` before it, and returns where the next one starts.
fn path(tokens: &[(usize, &str)], mut at: usize, prefix: &str, paths: &mut Vec<(usize, String)>) -> usize {
    let is_word = |at: usize| {
        tokens.get(at).is_some_and(|(_, token)| token.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    let is = |at: usize, sign: &str| tokens.get(at).is_some_and(|(_, token)| *token == sign);
    if !is_word(at) {
        return at + 1;
    }
    let mut path = prefix.to_owned();
    let line = tokens[at].0;
    loop {
        if !path.is_empty() {
            path.push_str("::");
        }
        path.push_str(tokens[at].1);
        at += 1;
        if is(at, "::") && is_word(at + 1) {
            at += 1;
        } else {
            break;
        }
    }
    if !(is(at, "::") && is(at + 1, "{")) {
        paths.push((line, path));
        return at;
    }
    // A group of a `use`: the prefix stands before each of its members.
    at += 2;
    while at < tokens.len() && !is(at, "}") {
        at = self::path(tokens, at, &path, paths);
    }
    at + 1
}

#[test]
fn comments_and_texts_are_not_code() {
    let source = Source::new(
        "a /* b /* c */ d */ e // f\nlet g = \"h \\\" i\"; let j = r#\"k \" l\"#; let m = 'n'; let o: &'p q = '\\'';",
    );
    let words: Vec<String> = source.paths().into_iter().map(|(_, path)| path).collect();
    assert_eq!(words, ["a", "e", "let", "g", "let", "j", "let", "m", "let", "o", "p", "q"]);
    assert!(source.comments.contains("// f") && !source.comments.contains('g'));
    assert_eq!(source.code.lines().count(), source.comments.lines().count());
}

#[test]
fn groups_are_expanded() {
    let source =
        Source::new("use std::{\n    io,\n    sync::{Arc, Mutex as Lock},\n};\nfn x() { std::thread::park() }");
    assert_eq!(source.mentions("std::sync::Mutex"), [3]);
    assert_eq!(source.mentions("thread::park"), [5]);
    assert_eq!(source.mentions("std::sync::RwLock"), [] as [usize; 0]);
    assert_eq!(source.mentions("std::io"), [2]);
}

#[test]
fn a_test_module_is_left_out() {
    let text = "use a::b;\n#[cfg(test)]\nmod tests { use std::sync::Mutex; }\n";
    assert!(Source::without_tests(text).mentions("std::sync::Mutex").is_empty());
    assert_eq!(Source::new(text).mentions("std::sync::Mutex"), [3]);
}
