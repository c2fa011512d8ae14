//! The people of the local platform sign in to it through the stand-in for GitHub.

use std::collections::BTreeMap;

use reqwest::{Client, Response, redirect::Policy};
use serde_json::Value;
use url::{Url, form_urlencoded::Serializer};

use crate::tree::Tree;

#[test]
fn three_people_sign_in() {
    let tree = Tree::new();
    tree.dev(&["up", "--detach"]).succeeds();
    let console = tree.state()["console_url"].as_str().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (login, platform, project) in
        [("maintainer", "owner", None), ("writer", "none", Some("write")), ("reader", "none", Some("read"))]
    {
        let me = runtime.block_on(signed_in(&console, login));
        assert_eq!((me["login"].as_str(), me["role"].as_str()), (Some(login), Some(platform)), "{me}");
        assert_eq!(me["projects"][0]["role"].as_str(), project, "{me}");
    }
    let said = tree.dev(&["status"]).succeeds();
    assert!(
        said.contains(&format!("console        {console}")) && said.contains("maintainer, writer, reader"),
        "{said}"
    );
    tree.dev(&["down"]).succeeds();
}

/// Goes the way of a browser, and gives what the platform then says about the person.
async fn signed_in(console: &str, login: &str) -> Value {
    let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    let mut cookies = BTreeMap::new();
    let answer = http.get(format!("{console}/auth/login")).send().await.unwrap();
    let forge: Url = location(&answer).parse().unwrap();
    keep(&mut cookies, &answer);
    let form = Serializer::new(String::new()).extend_pairs(forge.query_pairs()).append_pair("login", login).finish();
    let request = http.post(forge).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.unwrap();
    let answer = http.get(location(&answer)).header("cookie", line(&cookies)).send().await.unwrap();
    assert_eq!(location(&answer), format!("{console}/"));
    keep(&mut cookies, &answer);
    let request = http.get(format!("{console}/api/v1/me")).header("cookie", line(&cookies));
    request.send().await.unwrap().json().await.unwrap()
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), 303, "{answer:?}");
    answer.headers()["location"].to_str().unwrap().to_owned()
}

fn keep(cookies: &mut BTreeMap<String, String>, answer: &Response) {
    for cookie in answer.headers().get_all("set-cookie") {
        let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
        cookies.insert(name.to_owned(), value.to_owned());
    }
}

fn line(cookies: &BTreeMap<String, String>) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}
