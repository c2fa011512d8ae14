//! Path templates such as `/repos/{owner}/{repo}/contents/{path}`.

/// Parameters besides the path whose values may have slashes of their own.
const GREEDY: [&str; 3] = ["{ref}", "{branch}", "{basehead}"];

/// A path with parameters.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    One,
    /// At least this many parts.
    Greedy(usize),
}

impl Template {
    pub(super) fn new(text: &str) -> Self {
        let parts = text
            .trim_start_matches('/')
            .split('/')
            .map(|part| match part {
                // The root folder is a path with nothing in it.
                "{path}" => Part::Greedy(0),
                greedy if GREEDY.contains(&greedy) => Part::Greedy(1),
                one if one.starts_with('{') => Part::One,
                literal => Part::Literal(literal.to_owned()),
            })
            .collect();
        Self { text: text.to_owned(), parts }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// How many parts are fixed.
    pub(super) fn literals(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Literal(_))).count()
    }

    /// Is this path one of the template's?
    pub(super) fn fits(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        fits(&self.parts, &parts)
    }
}

fn fits(template: &[Part], path: &[&str]) -> bool {
    let Some((first, rest)) = template.split_first() else { return path.is_empty() };
    match first {
        Part::Literal(wanted) => path.first() == Some(&wanted.as_str()) && fits(rest, &path[1..]),
        Part::One => path.first().is_some_and(|part| !part.is_empty()) && fits(rest, &path[1..]),
        Part::Greedy(least) => (*least..=path.len()).any(|taken| fits(rest, &path[taken..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_may_have_slashes_and_an_owner_may_not() {
        let template = Template::new("/repos/{owner}/{repo}/commits/{ref}/status");
        assert!(template.fits("/repos/acme/greeter/commits/codex/1-names/status"));
        assert!(!template.fits("/repos/acme/greeter/commits/codex/1-names"));
        assert!(!Template::new("/repos/{owner}/{repo}").fits("/repos/acme"));
        assert!(Template::new("/user").fits("/user"));
    }
}
