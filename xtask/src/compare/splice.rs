//! Putting a text between two markers of a document.

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// The document with `text` between its markers, in the place of what was there.
pub(super) fn between_markers(document: &str, text: &str) -> Result<String, String> {
    let split = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = split else {
        return Err(format!("README.md has no `{BEGIN}` followed by `{END}`"));
    };
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_markers_is_replaced() {
        let document = format!("top\n{BEGIN}\nold\n{END}\nend\n");
        let spliced = between_markers(&document, "new\n").expect("it has markers");
        assert_eq!(spliced, format!("top\n{BEGIN}\n\nnew\n\n{END}\nend\n"));
        assert_eq!(between_markers(&spliced, "new"), Ok(spliced.clone()));
    }

    #[test]
    fn a_document_without_markers_is_left_alone() {
        for document in ["", BEGIN, END, &format!("{END}{BEGIN}")] {
            assert!(between_markers(document, "new").is_err(), "{document}");
        }
    }
}
