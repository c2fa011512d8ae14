//! Model calls: what they reserve, what they are booked with, and that budgets hold however many come at once.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{Attempt, RunId},
    job::Usage,
    model::{Account, Amount, Cost, Decision, Limit, Limits, ModelPolicy, ModelStop, Price, Scope, Stopped, Usd, Wish},
};
use store::{
    ModelCallKind, Store,
    blobs::BlobKey,
    model_budgets::{self, Reservation},
    model_calls::{self, CallEnd, Charge, ModelCallId, NewCall, Spent},
    model_gateways::{self, ModelGatewayId},
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::world::{World, at};

const FIRST: Attempt = Attempt::FIRST;

const PRICE: Price = Price { input: Usd::from_nano(10), cached_input: Usd::from_nano(1), output: Usd::from_nano(100) };

const USED: Usage = Usage { input_tokens: 100, cached_input_tokens: 40, output_tokens: 7, reasoning_output_tokens: 3 };

const WISH: Wish = Wish { input: 500, output: 1_000, price: Some(PRICE) };

fn call(world: &World, run: RunId, now: DateTime<Utc>) -> NewCall<'static> {
    let project = world.project;
    NewCall { run, attempt: FIRST, project, kind: ModelCallKind::Responses, model: "m", now }
}

fn end(charge: Charge, now: DateTime<Utc>) -> CallEnd<'static> {
    CallEnd {
        status: Some(200),
        charge,
        first_byte_at: None,
        served_by: Some(("openai", "main")),
        tries: 1,
        waited: Duration::ZERO,
        stopped: None,
        bodies: None,
        now,
    }
}

async fn reserve(store: &Store, new: &NewCall<'_>, limits: &Limits, wish: &Wish) -> Reservation {
    let mut tx = store.begin().await.unwrap();
    let reserved = model_budgets::reserve(&mut tx, new, ModelGatewayId::new(), limits, wish).await.unwrap();
    tx.commit().await.unwrap();
    reserved
}

async fn granted(store: &Store, new: &NewCall<'_>) -> ModelCallId {
    match reserve(store, new, &Limits::default(), &WISH).await {
        Reservation::Granted { id, .. } => id,
        Reservation::Not(decision) => panic!("{decision:?}"),
    }
}

async fn finish(store: &Store, id: ModelCallId, charge: Charge) -> bool {
    let mut tx = store.begin().await.unwrap();
    let news = model_calls::finish(&mut tx, id, &end(charge, at(9))).await.unwrap();
    tx.commit().await.unwrap();
    news
}

async fn accounts(world: &World, run: RunId, when: DateTime<Utc>) -> [Account; 3] {
    model_budgets::accounts(&mut *world.conn().await, run, world.project, when).await.unwrap()
}

fn amount(tokens: u64, nano: u64) -> Amount {
    Amount { tokens, usd: Usd::from_nano(nano) }
}

#[tokio::test]
async fn a_call_reserves_and_its_end_books_once() {
    let world = World::new().await;
    let (run, store) = (world.run(1).await, world.store());
    let sum = async || model_calls::sum_for_attempt(&mut *world.conn().await, run, FIRST).await.unwrap();
    assert_eq!(sum().await, Spent::default());
    let first = granted(&store, &call(&world, run, at(0))).await;
    let reserved = Account { spent: Amount::default(), reserved: amount(1_500, 105_000) };
    assert_eq!(accounts(&world, run, at(0)).await, [reserved; 3]);

    assert!(finish(&store, first, Charge::Reported(USED, Some(PRICE.of(USED)))).await);
    let spent = Account { spent: amount(107, 600 + 40 + 700), reserved: Amount::default() };
    assert_eq!(accounts(&world, run, at(0)).await, [spent; 3]);
    let cost = Cost { known: Usd::from_nano(1_340), ..Cost::default() };
    assert_eq!(sum().await, Spent { calls: 1, usage: USED, cost });
    for again in [Charge::Estimated, Charge::Nothing, Charge::Reported(Usage::default(), None)] {
        assert!(!finish(&store, first, again).await, "the first end stays");
    }
    assert_eq!(accounts(&world, run, at(0)).await, [spent; 3]);

    // One that cost nothing gives everything back; one without a price says so.
    let second = granted(&store, &call(&world, run, at(1))).await;
    assert!(finish(&store, second, Charge::Nothing).await);
    let third = granted(&store, &call(&world, run, at(2))).await;
    assert!(finish(&store, third, Charge::Reported(USED, None)).await);
    let spent = sum().await;
    assert_eq!((spent.calls, spent.cost.unpriced_calls, spent.cost.known), (3, 1, cost.known));
}

#[tokio::test]
async fn an_estimate_stays_until_the_provider_is_heard() {
    let world = World::new().await;
    let (run, store) = (world.run(1).await, world.store());
    let id = granted(&store, &call(&world, run, at(0))).await;
    assert!(finish(&store, id, Charge::Estimated).await);
    let spent = model_calls::sum_for_attempt(&mut *world.conn().await, run, FIRST).await.unwrap();
    assert_eq!((spent.usage.input_tokens, spent.usage.output_tokens), (500, 1_000));
    assert_eq!(spent.cost, Cost { known: Usd::from_nano(105_000), unpriced_calls: 0, estimated_calls: 1 });
    assert!(!finish(&store, id, Charge::Estimated).await);

    assert!(finish(&store, id, Charge::Reported(USED, Some(PRICE.of(USED)))).await);
    let spent = model_calls::sum_for_attempt(&mut *world.conn().await, run, FIRST).await.unwrap();
    assert_eq!((spent.usage, spent.cost.known, spent.cost.estimated_calls), (USED, Usd::from_nano(1_340), 0));
    let booked = Account { spent: amount(107, 1_340), reserved: Amount::default() };
    assert_eq!(accounts(&world, run, at(0)).await, [booked; 3]);
}

#[tokio::test]
async fn a_day_ends_and_a_month_goes_on() {
    let world = World::new().await;
    let (run, other, store) = (world.run(1).await, world.run(2).await, world.store());
    let evening: DateTime<Utc> = "2026-05-30T23:59:59Z".parse().unwrap();
    let morning = evening + TimeDelta::seconds(2);
    let late = granted(&store, &call(&world, run, evening)).await;
    // It ends on the next day and counts for the one on which it began.
    assert!(finish(&store, late, Charge::Reported(USED, None)).await);
    let spent = |accounts: [Account; 3]| accounts.map(|account| account.spent.tokens);
    assert_eq!(Scope::ALL, [Scope::Run, Scope::Day, Scope::Month]);
    assert_eq!(spent(accounts(&world, run, evening).await), [107, 107, 107]);
    assert_eq!(spent(accounts(&world, other, morning).await), [0, 0, 107]);
    assert_eq!(spent(accounts(&world, other, morning + TimeDelta::days(1)).await), [0, 0, 0]);
}

#[tokio::test]
async fn many_at_once_never_use_more_than_there_is() {
    const LIMIT: u64 = 20_000;
    let world = World::new().await;
    let store = world.store();
    let limits = Limits { day: Limit { tokens: Some(LIMIT), ..Limit::default() }, ..Limits::default() };
    let mut runs = Vec::new();
    for number in 1..=4 {
        runs.push(world.run(number).await);
    }
    // Each takes all it may and uses it up, until nothing fits.
    let (begin, mut callers) = (Arc::new(Barrier::new(16)), JoinSet::new());
    for caller in 0..16 {
        let (store, begin, new) = (store.clone(), Arc::clone(&begin), call(&world, runs[caller % 4], at(0)));
        callers.spawn(async move {
            begin.wait().await;
            let mut made = 0_u64;
            loop {
                match reserve(&store, &new, &limits, &WISH).await {
                    Reservation::Granted { id, output, .. } => {
                        let usage = Usage { input_tokens: WISH.input, output_tokens: output, ..Usage::default() };
                        assert!(finish(&store, id, Charge::Reported(usage, None)).await);
                        made += 1;
                    }
                    Reservation::Not(Decision::Busy) => tokio::time::sleep(Duration::from_millis(2)).await,
                    Reservation::Not(Decision::Spent(words)) => {
                        assert!(words.contains("this day, 20000 tokens"), "{words}");
                        return made;
                    }
                    Reservation::Not(decision) => panic!("{decision:?}"),
                }
            }
        });
    }
    let made: u64 = callers.join_all().await.into_iter().sum();
    let day = accounts(&world, runs[0], at(0)).await[1];
    assert_eq!(day.reserved, Amount::default());
    assert!(day.spent.tokens <= LIMIT, "{day:?}");
    assert!(made >= LIMIT / 1_500, "{made} calls, and there was room for more");
    let rows: i64 = sqlx::query_scalar("select sum(input_tokens + output_tokens)::bigint from model_calls")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(u64::try_from(rows).unwrap(), day.spent.tokens, "rows and budgets agree");
}

#[tokio::test]
async fn calls_of_a_gateway_that_is_gone_are_found() {
    let world = World::new().await;
    let (run, store) = (world.run(1).await, world.store());
    let (alive, dead) = (ModelGatewayId::new(), ModelGatewayId::new());
    let mut ids = Vec::new();
    for gateway in [alive, dead, dead] {
        model_gateways::seen(&mut *world.conn().await, gateway, at(0)).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let new = call(&world, run, at(0));
        let reserved = model_budgets::reserve(&mut tx, &new, gateway, &Limits::default(), &WISH).await.unwrap();
        tx.commit().await.unwrap();
        let Reservation::Granted { id, .. } = reserved else { panic!("{reserved:?}") };
        ids.push(id);
    }
    assert!(finish(&store, ids[1], Charge::Nothing).await);
    let mut conn = world.conn().await;
    model_gateways::seen(&mut conn, alive, at(60)).await.unwrap();
    assert_eq!(model_calls::orphans(&mut conn, at(30), 10).await.unwrap(), [ids[2]]);
    // A late word of before takes nothing back.
    model_gateways::seen(&mut conn, alive, at(1)).await.unwrap();
    assert_eq!(model_calls::orphans(&mut conn, at(30), 10).await.unwrap(), [ids[2]]);
    assert_eq!(model_gateways::forget(&mut conn, at(30)).await.unwrap(), 0, "it has a call under way");
    assert!(finish(&store, ids[2], Charge::Estimated).await);
    assert_eq!(model_gateways::forget(&mut conn, at(30)).await.unwrap(), 1);
    assert_eq!(model_calls::orphans(&mut conn, at(30), 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_newest_call_says_why_it_was_stopped() {
    let world = World::new().await;
    let (run, store) = (world.run(1).await, world.store());
    let mut conn = world.conn().await;
    assert_eq!(model_calls::stopped(&mut conn, run, FIRST).await.unwrap(), None);
    let stopped = Stopped { stop: ModelStop::Budget, problem: "It is spent.".to_owned() };
    model_calls::refused(&mut conn, &call(&world, run, at(0)), 429, &stopped).await.unwrap();
    assert_eq!(model_calls::stopped(&mut conn, run, FIRST).await.unwrap(), Some(stopped));
    assert_eq!(model_calls::sum_for_attempt(&mut conn, run, FIRST).await.unwrap(), Spent::default());
    let id = granted(&store, &call(&world, run, at(1))).await;
    assert!(finish(&store, id, Charge::Reported(USED, None)).await);
    assert_eq!(model_calls::stopped(&mut conn, run, FIRST).await.unwrap(), None);
}

#[tokio::test]
async fn an_attempt_keeps_its_policy_and_where_its_words_are() {
    let world = World::new().await;
    let (run, store) = (world.run(1).await, world.store());
    let mut conn = world.conn().await;
    let caller = model_calls::caller(&mut conn, run, FIRST).await.unwrap();
    assert_eq!((caller.project, caller.policy, caller.agent_since), (world.project, None, None));
    let policy = ModelPolicy {
        models: vec!["m".to_owned()],
        limits: Limits {
            run: Limit { usd: Some(Usd::from_nano(1_500_000_000)), ..Limit::default() },
            ..Limits::default()
        },
        record_bodies: true,
        agent_secs: 60,
    };
    model_calls::set_policy(&mut conn, run, FIRST, &policy).await.unwrap();
    assert_eq!(model_calls::caller(&mut conn, run, FIRST).await.unwrap().policy, Some(policy));

    let id = granted(&store, &call(&world, run, at(1))).await;
    let key = BlobKey::model_call(run, FIRST, id.0);
    let mut tx = store.begin().await.unwrap();
    let end = CallEnd { bodies: Some(&key), ..end(Charge::Nothing, at(2)) };
    assert!(model_calls::finish(&mut tx, id, &end).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(model_calls::bodies(&mut conn, run, FIRST, 5).await.unwrap(), *std::slice::from_ref(&key));
    model_calls::bodies_deleted(&mut conn, run, FIRST, std::slice::from_ref(&key)).await.unwrap();
    assert_eq!(model_calls::bodies(&mut conn, run, FIRST, 5).await.unwrap(), []);
}
