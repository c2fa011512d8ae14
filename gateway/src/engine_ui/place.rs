//! What an address below `/ops/temporal/` asks for.
//!
//! An address that one program may read differently than another is not passed on: what is judged here must be what is done there.

use percent_encoding::percent_decode_str;

use super::PATH;

/// What an address asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A page of the UI, or one of its files: its parts.
    Page(Vec<String>),
    /// The UI's question what it may offer.
    Settings,
    /// Something of the engine's API: the parts behind `api/v1/`; none if they can't be told apart for sure.
    Api(Option<Vec<String>>),
}

impl Place {
    /// Reads the path of a request. None for one that no page of the UI asks for.
    pub(super) fn read(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(PATH)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let raw: Vec<&str> = rest.split('/').skip(1).collect();
        let (last, before) = raw.split_last().unwrap_or((&"", &[]));
        if before.iter().any(|part| part.is_empty()) {
            return None;
        }
        let parts: Vec<Part> = raw.iter().map(|part| Part::read(part)).collect();
        // Somebody behind us would go up from here.
        if parts.iter().any(|part| part.names().any(|name| matches!(name, "." | ".."))) {
            return None;
        }
        let sure = parts.iter().all(|part| part.sure) && (!last.is_empty() || before.is_empty());
        let first = parts.first().and_then(|part| part.names().find(|name| !name.is_empty()));
        let is_api = first.is_some_and(|first| first.eq_ignore_ascii_case("api"));
        let mut texts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
        if !is_api {
            return Some(Self::Page(texts));
        }
        if !sure
            || texts.first().is_none_or(|first| first != "api")
            || texts.get(1).is_none_or(|version| version != "v1")
        {
            return Some(Self::Api(None));
        }
        let rest = texts.split_off(2);
        Some(if rest == ["settings"] { Self::Settings } else { Self::Api(Some(rest)) })
    }
}

/// One part of a path, decoded once.
struct Part {
    text: String,
    /// Whether everybody reads it the same way.
    sure: bool,
}

impl Part {
    fn read(raw: &str) -> Self {
        let decoded = percent_decode_str(raw).decode_utf8();
        let sure =
            decoded.as_ref().is_ok_and(|text| !text.chars().any(|c| matches!(c, '/' | '\\' | '%') || c.is_control()));
        Self { text: decoded.map_or_else(|_| raw.to_owned(), std::borrow::Cow::into_owned), sure }
    }

    /// What it names for whoever takes it apart after decoding.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.text.split(['/', '\\'])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(parts: &[&str]) -> Option<Place> {
        Some(Place::Api(Some(parts.iter().map(|part| (*part).to_owned()).collect())))
    }

    #[test]
    fn pages_and_calls_are_told_apart() {
        let page = |parts: &[&str]| Some(Place::Page(parts.iter().map(|part| (*part).to_owned()).collect()));
        assert_eq!(Place::read("/ops/temporal"), page(&[]));
        assert_eq!(Place::read("/ops/temporal/"), page(&[""]));
        assert_eq!(Place::read("/ops/temporal/namespaces/default/"), page(&["namespaces", "default", ""]));
        assert_eq!(Place::read("/ops/temporal/api/v1/settings"), Some(Place::Settings));
        let id = ["namespaces", "default", "workflows", "dev:agent-run:1:1"];
        assert_eq!(Place::read("/ops/temporal/api/v1/namespaces/default/workflows/dev%3Aagent-run%3A1%3A1"), api(&id));
        assert_eq!(Place::read("/ops/temporal/api/v1/namespaces/default/workflows/dev:agent-run:1:1"), api(&id));
    }

    #[test]
    fn what_may_be_read_in_two_ways_is_nothing_or_unknown() {
        for nothing in [
            "/ops/temporalx/api",
            "/ops/temporal//api/v1/namespaces",
            "/ops/temporal/x/../api/v1/namespaces",
            "/ops/temporal/x/%2e%2E/api/v1/namespaces",
            "/ops/temporal/./api/v1/namespaces",
            "/ops/temporal/api/v1//namespaces",
            "/ops/temporal/_app/%2e%2e%2fapi/v1/namespaces",
            "/ops/temporal/x%5c..%5capi/v1",
        ] {
            assert_eq!(Place::read(nothing), None, "{nothing}");
        }
        for unknown in [
            "/ops/temporal/api",
            "/ops/temporal/api/v2/namespaces",
            "/ops/temporal/API/v1/namespaces",
            "/ops/temporal/%61pi/v1/a%2Fb",
            "/ops/temporal/%2fapi/v1/namespaces",
            "/ops/temporal/api%2Fv1/namespaces",
            "/ops/temporal/api/v1/namespaces/default%2Fworkflows%2Fx",
            "/ops/temporal/api/v1/namespaces/a%5Cb",
            "/ops/temporal/api/v1/namespaces/%252e%252e",
            "/ops/temporal/api/v1/namespaces/%ff",
            "/ops/temporal/api/v1/namespaces/a%0ab",
            "/ops/temporal/api/v1/namespaces/",
        ] {
            assert_eq!(Place::read(unknown), Some(Place::Api(None)), "{unknown}");
        }
    }
}
