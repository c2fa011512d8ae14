//! The log of what a hook sent.

use devkit::github::Knob;
use forge::{ForgeError, HookDelivery, HookLog, HookNumber, LogPage, RepositoryProvider};

use crate::world::{REPOSITORY, World};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9/";

/// A hook whose receiver is gone, and so many events besides its ping.
async fn missed(world: &World, events: usize) -> HookNumber {
    world.stand_in.knob(Knob::HooksOffline { offline: true }).await.unwrap();
    let hook = world.stand_in.create_hook(REPOSITORY, NOWHERE, "s", &["issue_comment"]).unwrap().id;
    for n in 1..=events {
        world.stand_in.comment("writer", REPOSITORY, 1, &format!("Remark {n}.")).unwrap();
    }
    let tried = |forge: &devkit::github::StandIn| forge.deliveries(hook).iter().all(|one| one.delivered_at.is_some());
    world.stand_in.wait_until(tried).await;
    HookNumber(hook.try_into().unwrap())
}

async fn page(
    world: &World,
    hook: HookNumber,
    page: LogPage<'_>,
) -> (Vec<HookDelivery>, Option<String>, Option<String>) {
    match world.github.hook_log(&world.repo, hook, page).await.unwrap() {
        HookLog::Page { deliveries, etag, next } => (deliveries, etag, next),
        HookLog::Unchanged => panic!("it has changed"),
    }
}

#[tokio::test]
async fn a_log_is_read_page_by_page_from_its_newest_entry() {
    let world = World::start().await;
    let hook = missed(&world, 140).await;
    let newest = LogPage::Newest { unless: None };
    let (first, _, next) = page(&world, hook, newest).await;
    let (second, _, end) = page(&world, hook, LogPage::After(&next.unwrap())).await;
    assert_eq!((first.len(), second.len(), end), (100, 41, None));
    let all: Vec<_> = first.into_iter().chain(second).collect();
    assert!(all.is_sorted_by(|newer, older| newer.number > older.number && newer.delivered_at >= older.delivered_at));
    assert!(all.iter().all(|one| one.status == 502), "{all:?}");
    assert_eq!((all[0].event.as_str(), all[140].event.as_str()), ("issue_comment", "ping"));
    let body = world.github.delivered_event(&world.repo, hook, all[0].number).await.unwrap();
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["comment"]["body"], "Remark 140.");
}

#[tokio::test]
async fn a_log_without_news_is_not_sent_again() {
    let world = World::start().await;
    let hook = missed(&world, 1).await;
    let (_, etag, _) = page(&world, hook, LogPage::Newest { unless: None }).await;
    let known = LogPage::Newest { unless: etag.as_deref() };
    assert_eq!(world.github.hook_log(&world.repo, hook, known).await, Ok(HookLog::Unchanged));
    world.stand_in.comment("writer", REPOSITORY, 1, "News.").unwrap();
    let count = |forge: &devkit::github::StandIn| {
        let sent = forge.deliveries(hook.get().try_into().unwrap());
        sent.iter().filter(|one| one.delivered_at.is_some()).count()
    };
    world.stand_in.wait_until(|forge| count(forge) == 3).await;
    assert_eq!(page(&world, hook, known).await.0.len(), 3);
}

#[tokio::test]
async fn a_log_needs_an_administrator() {
    let world = World::start().await;
    let hook = missed(&world, 0).await;
    let newest = LogPage::Newest { unless: None };
    assert_eq!(world.client_of("writer").hook_log(&world.repo, hook, newest).await, Err(ForgeError::NotFound));
    assert_eq!(world.github.hook_log(&world.repo, HookNumber(1), newest).await, Err(ForgeError::NotFound));
}
