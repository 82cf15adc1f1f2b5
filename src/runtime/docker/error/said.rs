//! What Docker says, taken apart: the links of a chain of errors, without the names that others chose.
//!
//! Docker and its parts are Go programs. An error is wrapped in others, joined by `: `, the innermost
//! last; names are mostly quoted. Where words are the only evidence, whole links are compared, or how a
//! link begins: never is a word searched for in a text that has somebody's names in it.

/// The links of a chain of errors, outermost first, in lower case and without what was quoted.
#[derive(Debug)]
pub(super) struct Said {
    links: Vec<String>,
}

impl Said {
    /// Of this message. `names` are names from outside that it may have unquoted.
    pub(super) fn of(message: &str, names: &[&str]) -> Self {
        let mut text = without_quoted(message);
        let mut names: Vec<&&str> = names.iter().filter(|name| !name.is_empty()).collect();
        // A name that is a part of another must not break that one up.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            text = text.replace(*name, "");
        }
        let words = text.split_whitespace().map(|word| match word.contains("://") {
            true if word.ends_with(':') => ":",
            true => "",
            false => word,
        });
        let text = words.collect::<Vec<_>>().join(" ").to_ascii_lowercase();
        let mut links: Vec<String> =
            text.split(": ").map(|link| link.trim_matches([' ', ':']).to_owned()).collect();
        // What gRPC adds where it knows no kind.
        while links.last().is_some_and(|last| matches!(last.as_str(), "unknown" | "" | "<nil>"))
            && links.len() > 1
        {
            links.pop();
        }
        Self { links }
    }

    pub(super) fn links(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.links.iter().map(String::as_str)
    }

    /// The whole text begins so.
    pub(super) fn begins(&self, words: &str) -> bool {
        self.links.first().is_some_and(|first| first.starts_with(words))
    }

    /// A link of it begins so.
    pub(super) fn has_beginning(&self, words: &str) -> bool {
        self.links.iter().any(|link| link.starts_with(words))
    }

    /// A link of it is this, within one that is one of `outer`.
    pub(super) fn has_after(&self, link: &str, outer: &[&str]) -> bool {
        let after = self.links.iter().skip_while(|known| !outer.contains(&known.as_str()));
        after.skip(1).any(|known| known == link)
    }

    /// The innermost error is this.
    pub(super) fn ends(&self, link: &str) -> bool {
        self.links.last().is_some_and(|last| last == link)
    }

    /// The innermost error is of this form, whatever name stands between.
    pub(super) fn ends_around(&self, before: &str, after: &str) -> bool {
        self.links.last().is_some_and(|last| {
            last.len() >= before.len() + after.len() && last.starts_with(before) && last.ends_with(after)
        })
    }
}

/// Without what stands in quotes, `\"` within them included. A quote that is never closed ends nothing.
fn without_quoted(message: &str) -> String {
    let mut kept = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(start) = rest.find(['"', '`']) {
        let quote = if rest[start..].starts_with('"') { b'"' } else { b'`' };
        let inside = &rest.as_bytes()[start + 1..];
        let mut at = 0;
        while at < inside.len() && inside[at] != quote {
            at += if inside[at] == b'\\' { 2 } else { 1 };
        }
        if at >= inside.len() {
            break;
        }
        kept.push_str(&rest[..start]);
        rest = &rest[start + 1 + at + 1..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(message: &str, names: &[&str]) -> Vec<String> {
        Said::of(message, names).links
    }

    #[test]
    fn a_chain_is_taken_apart_and_names_are_no_part_of_it() {
        assert_eq!(
            links(
                "OCI runtime create failed: exec: \"/a: \\\"eof\\\": x\": stat: no such file or directory: unknown",
                &[]
            ),
            ["oci runtime create failed", "exec", "", "stat", "no such file or directory"]
        );
        assert_eq!(links("Get \"https://r/tls\": dial tcp: eof", &[]), ["get", "dial tcp", "eof"]);
        assert_eq!(links("r/tls/timeout:1: not found", &["r/tls", "r/tls/timeout:1"]), ["", "not found"]);
        assert_eq!(
            links("from HEAD request to https://r/v2/eof: 429 Too Many", &[]),
            ["from head request to", "429 too many"]
        );
        assert_eq!(links("a \"quote: that never ends", &[]), ["a \"quote", "that never ends"]);
        assert_eq!(links("", &[]), [""]);
        assert_eq!(links("unknown", &[]), ["unknown"]);
    }
}
