//! Paths and queries, escaped part by part: names and labels come from outside.

use http::Uri;
use url::Url;

use crate::{ForgeError, RepoRef};

/// A path with an optional query, relative to the API's base address.
#[derive(Clone, Debug)]
pub(super) struct Route(Url);

impl Route {
    /// A path of these parts; each is escaped, so that a slash in a part stays in it.
    pub(super) fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Result<Self, ForgeError> {
        let mut url = Url::parse("http://forge").map_err(|error| invalid(&error.to_string()))?;
        {
            let mut segments = url.path_segments_mut().map_err(|()| invalid("the address takes no path"))?;
            segments.clear();
            for part in parts {
                // `.` and `..` would be resolved, and turn the request into another one.
                if part.is_empty() || part == "." || part == ".." {
                    return Err(invalid(&format!("`{part}` can't be part of a path")));
                }
                segments.push(part);
            }
        }
        Ok(Self(url))
    }

    /// A path under `/repos/<owner>/<name>`.
    pub(super) fn repo(repo: &RepoRef, parts: &[&str]) -> Result<Self, ForgeError> {
        Self::new(["repos", repo.owner.as_str(), repo.name.as_str()].into_iter().chain(parts.iter().copied()))
    }

    /// With one more query parameter.
    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.0.query_pairs_mut().append_pair(key, value);
        self
    }

    /// What goes into the request line.
    pub(super) fn uri(&self) -> Result<Uri, ForgeError> {
        self.0[url::Position::BeforePath..].parse().map_err(|_| invalid("the path is no address"))
    }
}

fn invalid(detail: &str) -> ForgeError {
    ForgeError::Unexpected { detail: format!("request not sent: {detail}") }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn parts_are_escaped() {
        let route =
            Route::new(["repos", "o", "n", "labels", "a/b c?#%ü"]).unwrap().query("since", "2026-01-01T00:00:00+00:00");
        assert_eq!(
            route.uri().unwrap().to_string(),
            "/repos/o/n/labels/a%2Fb%20c%3F%23%25%C3%BC?since=2026-01-01T00%3A00%3A00%2B00%3A00"
        );
    }

    #[test]
    fn parts_that_would_change_the_path_are_refused() {
        for bad in ["", ".", ".."] {
            assert!(Route::new(["repos", bad, "n"]).is_err(), "{bad:?}");
        }
    }
}
