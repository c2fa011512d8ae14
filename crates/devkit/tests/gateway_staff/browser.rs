//! What a browser does: it keeps cookies, says where its writes come from, and follows a sign-in step by step.

use std::{cell::RefCell, collections::BTreeMap};

use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::Value;
use url::Url;

use crate::world::World;

pub struct Browser<'a> {
    world: &'a World,
    /// Where the gateway is that it speaks to.
    url: String,
    http: Client,
    cookies: RefCell<BTreeMap<String, String>>,
}

/// Status, headers and body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The code of a problem, whose form is checked on the way.
    #[track_caller]
    pub fn code(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["request_id"], self.header("x-request-id"), "{self:?}");
        assert!(!self.body["detail"].as_str().unwrap().is_empty(), "{self:?}");
        self.body["code"].as_str().unwrap()
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }
}

impl<'a> Browser<'a> {
    pub fn new(world: &'a World) -> Self {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { world, url: world.url(), http, cookies: RefCell::default() }
    }

    /// Another browser with the same cookies: a copy, as a thief has one.
    pub fn copied(&self) -> Self {
        Self { world: self.world, url: self.url.clone(), http: self.http.clone(), cookies: self.cookies.clone() }
    }

    /// The same browser, led to another gateway of the same platform.
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.copied() }
    }

    pub fn cookie(&self, word: &str) -> Option<String> {
        let cookies = self.cookies.borrow();
        cookies.iter().find(|(name, _)| name.ends_with(&format!("-{word}"))).map(|(_, value)| value.clone())
    }

    pub fn set_cookie(&self, word: &str, value: &str) {
        let mut cookies = self.cookies.borrow_mut();
        let name = cookies.keys().find(|name| name.ends_with(&format!("-{word}"))).unwrap().clone();
        cookies.insert(name, value.to_owned());
    }

    /// A request as our own pages send it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_safe = method.is_safe();
        let request = self.bare(method, path);
        if is_safe { request } else { request.header("origin", self.world.url()) }
    }

    /// A request that does not say where it comes from.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let cookies = self.cookies.borrow();
        let line: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.request(method, format!("{}{path}", self.url));
        if line.is_empty() { request } else { request.header("cookie", line.join("; ")) }
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for line in headers.get_all("set-cookie") {
            let (pair, rest) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(rest.contains("HttpOnly") && rest.contains("SameSite="), "{rest}");
            if value.is_empty() {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
        // A stream has no end.
        let streams = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if streams { String::new() } else { response.text().await.unwrap() };
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn refresh(&self) -> Answer {
        self.send(self.request(Method::POST, "/auth/refresh")).await
    }

    /// Goes to GitHub: what is asked for there.
    pub async fn begin(&self) -> BTreeMap<String, String> {
        let answer = self.get("/auth/login?return_to=/runs").await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let url: Url = answer.header("location").parse().unwrap();
        assert!(url.as_str().starts_with(&format!("{}/login/oauth/authorize?", self.world.stand_in.url())), "{url}");
        url.query_pairs().into_owned().collect()
    }

    /// Agrees at GitHub: the path that the browser is sent back to. With no login, the person says no.
    pub async fn agree(&self, asked: &BTreeMap<String, String>, login: &str) -> String {
        let url = format!("{}/login/oauth/authorize", self.world.stand_in.url());
        let query: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = self.http.get(Url::parse_with_params(&url, &query).unwrap()).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let page = page.text().await.unwrap();
        assert!(page.contains(&format!("value=\"{login}\"")), "{page}");
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.extend_pairs(&query).append_pair("login", login).finish();
        let kind = "application/x-www-form-urlencoded";
        let answer = self.http.post(url).header("content-type", kind).body(form).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let back = answer.headers()["location"].to_str().unwrap().to_owned();
        back.strip_prefix(&self.world.url()).unwrap().to_owned()
    }

    /// The whole way; gives the last answer.
    pub async fn sign_in(&self, login: &str) -> Answer {
        let asked = self.begin().await;
        let back = self.agree(&asked, login).await;
        self.get(&back).await
    }
}
