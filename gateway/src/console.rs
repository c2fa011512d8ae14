//! The staff console: its built files, served as they are.
//!
//! They are read once, at the start: a request can then never name a file that is not one of them. What the bundler
//! names after its content is kept by browsers for good; the page itself is asked for each time.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{
        ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
        IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use sha2::{Digest, Sha256};

use crate::problem::{Foreign, not_found};

/// More than this is not a console.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

const PAGE: &str = "index.html";

/// First parts of addresses that belong to others, whatever is built: an unknown one there is no page.
const NOT_PAGES: [&str; 9] = ["api", "auth", "runner", "webhooks", "ops", ".well-known", "healthz", "readyz", "assets"];

/// Nothing but what this gateway serves may run, be shown or be asked; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>The console is not built</title></head><body><h1>The console is not built</h1>\
<p>This gateway runs, but was not told where the files of the staff console are.</p>\
<p>Build them in the folder <code>ui</code> of the source with <code>npm ci</code> and <code>npm run build</code>, \
set <code>CONSOLE_DIR</code> to the folder <code>ui/dist</code>, and start the gateway again. \
On a developer's machine <code>cargo dev up</code> does all of that.</p></body></html>\n";

/// Why the files can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The page is missing.
    #[error("{path} is not there: name the folder that `npm run build` has written", path = path.display())]
    NoPage {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something can't be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is some other folder.
    #[error("{folder} holds more than {max} bytes, which no console does", folder = folder.display(), max = MAX_BYTES)]
    TooMuch {
        /// The folder.
        folder: PathBuf,
    },
}

/// The console's files, or none. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Console(Option<Arc<HashMap<String, File>>>);

#[derive(Debug)]
struct File {
    plain: Bytes,
    /// The same, packed at build time.
    packed: Option<Bytes>,
    etag: HeaderValue,
    kind: &'static str,
}

impl Console {
    /// No console: its place is taken by a page that says how to get one.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Reads a built console.
    ///
    /// # Errors
    /// When the folder is not one, or can't be read.
    pub fn read(folder: &Path) -> Result<Self, ConsoleError> {
        let page = folder.join(PAGE);
        if !page.is_file() {
            return Err(ConsoleError::NoPage { path: page });
        }
        let mut contents = HashMap::new();
        gather(folder, &mut contents)?;
        let mut files = HashMap::new();
        for (name, plain) in &contents {
            if name.ends_with(".gz") {
                continue;
            }
            let packed = contents.get(&format!("{name}.gz")).cloned();
            let digest = hex::encode(Sha256::digest(plain).get(..12).unwrap_or_default());
            let etag = HeaderValue::try_from(format!("W/\"{digest}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
            files.insert(name.clone(), File { plain: plain.clone(), packed, etag, kind: kind(name) });
        }
        Ok(Self(Some(Arc::new(files))))
    }

    /// Answers what no other address has taken: a file, the page, or that there is nothing.
    pub(crate) async fn answer(self, method: Method, uri: Uri, headers: HeaderMap) -> Response {
        let path = uri.path().trim_start_matches('/');
        if !matches!(method, Method::GET | Method::HEAD) {
            return nothing().await;
        }
        if let Some(file) = self.0.as_ref().and_then(|files| files.get(path)) {
            return file.answer(path, &headers);
        }
        if !is_page(path) || !wants_page(&headers) {
            return nothing().await;
        }
        match self.0.as_ref().map(|files| files.get(PAGE)) {
            Some(Some(page)) => page.answer(PAGE, &headers),
            // Without the page nothing was read, so there is a page when there is anything.
            Some(None) | None => not_built(),
        }
    }
}

impl File {
    fn answer(&self, name: &str, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        let known = asked.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let packed = self.packed.as_ref().filter(|_| takes_gzip(asked));
        if known.zip(self.etag.to_str().ok()).is_some_and(|(known, etag)| known.contains(etag)) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(packed.unwrap_or(&self.plain).clone());
        }
        let headers = response.headers_mut();
        if packed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let kept = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
        headers.insert(ETAG, self.etag.clone());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        protect(headers, self.kind);
        response
    }
}

/// Everything below a folder, by its path from there. Links are not followed.
fn gather(folder: &Path, contents: &mut HashMap<String, Bytes>) -> Result<(), ConsoleError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ConsoleError::Read { path, source }
    };
    let mut left = MAX_BYTES;
    let mut waiting = vec![(folder.to_owned(), String::new())];
    while let Some((place, prefix)) = waiting.pop() {
        for entry in fs::read_dir(&place).map_err(failed(&place))? {
            let entry = entry.map_err(failed(&place))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed(&path))?;
            let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else { continue };
            if kind.is_dir() {
                waiting.push((path, format!("{name}/")));
            } else if kind.is_file() {
                let size = entry.metadata().map_err(failed(&path))?.len();
                left = left.checked_sub(size).ok_or_else(|| ConsoleError::TooMuch { folder: folder.to_owned() })?;
                contents.insert(name, fs::read(&path).map_err(failed(&path))?.into());
            }
        }
    }
    Ok(())
}

/// Whether the console's own router may know the address.
fn is_page(path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    !NOT_PAGES.contains(&first) && kind(last) == OTHER
}

/// Programs get a problem that they can read, people the page.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).is_some_and(|accept| {
        accept.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("gzip") && parts.next() != Some("q=0")
        })
    })
}

fn protect(headers: &mut HeaderMap, kind: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

async fn nothing() -> Response {
    use axum::response::IntoResponse;
    not_found().await.into_response()
}

fn not_built() -> Response {
    let mut response = Response::new(Body::from(NOT_BUILT));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    protect(response.headers_mut(), "text/html; charset=utf-8");
    response.extensions_mut().insert(Foreign);
    response
}

const OTHER: &str = "application/octet-stream";

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

    fn built() -> (tempfile::TempDir, Console) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("assets")).unwrap();
        for (name, text) in
            [("index.html", "the page"), ("assets/app-1a2b.js", "plain"), ("assets/app-1a2b.js.gz", "packed")]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let console = Console::read(folder.path()).unwrap();
        (folder, console)
    }

    async fn ask(console: &Console, path: &'static str, given: &[(http::HeaderName, &str)]) -> (Response, String) {
        let headers = given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        let answer = console.clone().answer(Method::GET, Uri::from_static(path), headers).await;
        let (parts, body) = answer.into_parts();
        let text = axum::body::to_bytes(body, 10_000).await.unwrap();
        (Response::from_parts(parts, Body::empty()), String::from_utf8(text.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_address_of_the_consoles_own_router_is_the_page() {
        let (_folder, console) = built();
        for path in ["/", "/runs", "/runs/0198/log", "/projects/acme.demo"] {
            let (answer, text) = ask(&console, path, &[(ACCEPT, BROWSER)]).await;
            assert_eq!((answer.status(), text.as_str()), (StatusCode::OK, "the page"), "{path}");
            assert_eq!(answer.headers()[CACHE_CONTROL], "no-cache");
            assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], POLICY);
        }
    }

    #[tokio::test]
    async fn other_addresses_stay_problems() {
        let (_folder, console) = built();
        for path in ["/api/v1/nothing", "/auth/x", "/assets/old-9f.js", "/runner/v1/x", "/../secret.json", "/x.js"] {
            let (answer, _) = ask(&console, path, &[(ACCEPT, BROWSER)]).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(answer.headers()[CONTENT_TYPE], crate::problem::PROBLEM_JSON, "{path}");
        }
        let (answer, _) = ask(&console, "/runs", &[(ACCEPT, "application/json")]).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], crate::problem::PROBLEM_JSON, "a program is told");
        let wrote = console.clone().answer(Method::POST, Uri::from_static("/runs"), HeaderMap::new()).await;
        assert_eq!(wrote.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_named_file_is_kept_for_good_and_packed_where_that_is_taken() {
        let (_folder, console) = built();
        let (plain, text) = ask(&console, "/assets/app-1a2b.js", &[]).await;
        assert_eq!(text, "plain");
        assert!(plain.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let (packed, text) = ask(&console, "/assets/app-1a2b.js", &[(ACCEPT_ENCODING, "br, gzip")]).await;
        assert_eq!((text.as_str(), &packed.headers()[CONTENT_ENCODING]), ("packed", &HeaderValue::from_static("gzip")));
        let (_, text) = ask(&console, "/assets/app-1a2b.js", &[(ACCEPT_ENCODING, "gzip;q=0")]).await;
        assert_eq!(text, "plain");
        let etag = plain.headers()[ETAG].to_str().unwrap().to_owned();
        let (again, text) = ask(&console, "/assets/app-1a2b.js", &[(IF_NONE_MATCH, &etag)]).await;
        assert_eq!((again.status(), text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    }

    #[tokio::test]
    async fn without_a_console_the_page_says_how_to_get_one() {
        let (answer, text) = ask(&Console::none(), "/", &[(ACCEPT, BROWSER)]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(text.contains("npm run build") && text.contains("CONSOLE_DIR"), "{text}");
        let (answer, _) = ask(&Console::none(), "/", &[]).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], crate::problem::PROBLEM_JSON);
    }

    #[test]
    fn a_folder_that_holds_no_console_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Console::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("index.html") && error.contains("npm run build"), "{error}");
    }
}
