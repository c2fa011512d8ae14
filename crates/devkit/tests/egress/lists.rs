//! Who is let out, and what is recorded of those who are not.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use domain::{
    egress::EgressRefusal,
    ids::Attempt,
    job_tokens::{egress_token, model_token, session_token},
    run::Outcome,
};
use store::{
    egress,
    runs::{self, End},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;

use crate::{
    proxy::{Proxy, free_port, squid_root},
    skipped,
    world::{ANSWER, World, host_outside},
};

/// Squid remembers refusals for 5 s of its own coarse clock, and recounts no refusal it remembers.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// A gateway, squid in front of it, and somebody outside.
struct Scene {
    world: World,
    proxy: Proxy,
    user: String,
    outside: Ipv4Addr,
}

impl Scene {
    /// None, said aloud, where it can't be had.
    async fn new(test: &str) -> Option<Self> {
        let Some(root) = squid_root() else {
            skipped(test, "there is no squid, and no apt to get one with");
            return None;
        };
        let outside = match host_outside().await {
            Ok(address) => address,
            Err(why) => {
                skipped(test, &format!("no host outside can be had here: {why}"));
                return None;
            }
        };
        let world = World::new().await;
        world.allow(&["own.test", "*.sub.test", "inside.test"]).await;
        let named = ["own.test", "a.sub.test", "platform.test", "other.test"].map(|name| format!("{outside} {name}\n"));
        let hosts = format!("{}127.0.0.1 inside.test\n10.9.8.7 b.sub.test\n", named.concat());
        let proxy = Proxy::start(&root, free_port(), &format!("http://{}", world.gateway), &hosts).await;
        let user = format!("run-{}", world.run);
        Some(Self { world, proxy, user, outside })
    }

    fn with_password(&self, password: &str) -> Url {
        let mut url = self.proxy.url.clone();
        url.set_username(&self.user).unwrap();
        url.set_password(Some(password)).unwrap();
        url
    }

    /// What a program is answered to a plain HTTP request: status and body.
    async fn get(&self, password: &str, url: &str) -> (u16, String) {
        let proxy = reqwest::Proxy::all(self.with_password(password)).unwrap();
        let client = reqwest::Client::builder().proxy(proxy).timeout(Duration::from_secs(20)).build().unwrap();
        let answer = client.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// What a program is answered that asks for a tunnel: the status line, and whether bytes go through.
    async fn connect(&self, password: &str, place: &str) -> (String, bool) {
        let address = format!("127.0.0.1:{}", self.proxy.url.port().unwrap());
        let mut stream = TcpStream::connect(address).await.unwrap();
        let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{}:{password}", self.user));
        let request =
            format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: Basic {basic}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 4096];
        let count = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..count]).into_owned();
        let status = head.lines().next().unwrap_or_default().to_owned();
        if !status.contains(" 200 ") {
            return (status, false);
        }
        stream.write_all(b"anything").await.unwrap();
        let mut through = String::new();
        let _ = stream.read_to_string(&mut through).await;
        (status, through.contains(ANSWER))
    }

    async fn refused(&self) -> BTreeMap<(String, u16), (EgressRefusal, u64)> {
        let mut conn = self.world.database.store().acquire().await.unwrap();
        let all = egress::list(&mut conn, self.world.run, Attempt::FIRST).await.unwrap();
        all.into_iter().map(|line| ((line.host, line.port), (line.reason, line.count))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_the_lists_are_reached_and_no_other_and_each_refusal_is_recorded() {
    use EgressRefusal::{Address, NotListed, Port, Private};
    let Some(scene) = Scene::new("hosts_of_the_lists_are_reached_and_no_other").await else { return };
    let token = egress_token(&scene.world.session);
    for host in ["own.test", "a.sub.test", "platform.test", "OWN.test"] {
        assert_eq!(scene.get(&token, &format!("http://{host}/x?secret=1")).await, (200, ANSWER.to_owned()), "{host}");
        let (status, through) = scene.connect(&token, &format!("{host}:443")).await;
        assert!(through, "{host}: {status}");
    }
    let literal = format!("{}:443", scene.outside);
    for (place, reason) in [
        ("other.test:443", NotListed),
        ("sub.test:443", NotListed),
        ("no-such-name.invalid:443", NotListed),
        (literal.as_str(), Address),
        ("127.0.0.1:443", Address),
        ("169.254.169.254:80", Address),
        ("own.test:22", Port),
        ("inside.test:443", Private),
        ("b.sub.test:443", Private),
    ] {
        let (status, through) = scene.connect(&token, place).await;
        assert!(status.contains(" 403 ") && !through, "{place}: {status}");
        let (host, port) = place.rsplit_once(':').unwrap();
        let seen = scene.refused().await;
        assert_eq!(
            seen.get(&(host.to_owned(), port.parse().unwrap())).map(|line| line.0),
            Some(reason),
            "{place}: {seen:?}"
        );
    }
    // A port that is good for the other way of asking is not good for this one.
    assert!(scene.connect(&token, "own.test:80").await.0.contains(" 403 "));
    assert_eq!(scene.get(&token, "http://own.test:443/").await.0, 403);
    assert_eq!(scene.get(&token, "http://other.test/").await.0, 403);
    let other = ("other.test".to_owned(), 443);
    let asked_again = tokio::time::Instant::now();
    while scene.refused().await[&other] == (NotListed, 1) && asked_again.elapsed() < FORGOTTEN {
        tokio::time::sleep(Duration::from_millis(500)).await;
        scene.connect(&token, "other.test:443").await;
    }
    assert_eq!(scene.refused().await[&other], (NotListed, 2), "one line, counted");

    let log = scene.proxy.access_log();
    assert!(log.contains(&scene.user) && log.contains("own.test:443") && log.contains("other.test:443 403"), "{log}");
    assert!(!log.contains("cet_") && !log.contains("secret"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_egress_token_of_a_run_at_work_opens() {
    let Some(scene) = Scene::new("only_the_egress_token_of_a_run_at_work_opens").await else { return };
    let session = &scene.world.session;
    let url = "http://own.test/";
    for (password, status) in [
        (String::new(), 407),
        ("wrong".to_owned(), 407),
        (session.clone(), 407),
        (model_token(session), 407),
        (egress_token(&session_token([8; 32])), 403),
    ] {
        assert_eq!(scene.get(&password, url).await.0, status, "{password}");
    }
    let token = egress_token(session);
    assert_eq!(scene.get(&token, url).await.0, 200);
    let mut conn = scene.world.database.store().acquire().await.unwrap();
    let end = End { attempt: Attempt::FIRST, outcome: Outcome::Cancelled, cause: "x", now: chrono::Utc::now() };
    runs::finish(&mut conn, scene.world.run, end).await.unwrap();
    // Another host: of this one squid still remembers the answer for some seconds.
    assert_eq!(scene.get(&token, "http://a.sub.test/").await.0, 403);
    assert!(scene.refused().await.is_empty(), "nobody is refused under a run's name without its token");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_gateway_is_away_nobody_is_let_out() {
    let Some(mut scene) = Scene::new("while_the_gateway_is_away_nobody_is_let_out").await else { return };
    let token = egress_token(&scene.world.session);
    scene.world.gateway_leaves().await;
    for place in ["own.test:443", "inside.test:443", "other.test:443"] {
        let (status, through) = scene.connect(&token, place).await;
        assert!(status.contains(" 403 ") && !through, "{place}: {status}");
    }
    scene.world.gateway_comes_back();
    let reached = async {
        while !scene.connect(&token, "own.test:443").await.1 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.expect("what could not be said is not remembered");
}
