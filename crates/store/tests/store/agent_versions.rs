//! Versions of agents: only what changed is a new one.

use domain::{
    agents::{Agent, BuiltIn, Definition},
    ids::Attempt,
    services_yaml::AgentName,
};
use store::{
    agent_versions::{self, SeenDefinition},
    attempts,
    repositories::{self, NewProject},
};

use crate::world::{World, at};

fn with_words(words: &str) -> Definition {
    Agent { prompt_addition: words.to_owned(), ..Agent::built_in(BuiltIn::Dev) }.definition()
}

#[tokio::test]
async fn what_changed_is_a_new_version_and_what_was_before_is_kept() {
    let world = World::new().await;
    let name: AgentName = "dev".parse().unwrap();
    let (plain, told) = (with_words(""), with_words("Use tabs."));
    let seen = |definition, seconds| SeenDefinition {
        repository: world.repository,
        agent: &name,
        definition,
        sha: Some("abc"),
        now: at(seconds),
    };
    let mut tx = world.begin().await;
    assert_eq!(agent_versions::find_or_note(&mut tx, seen(&plain, 1)).await.unwrap(), 1);
    assert_eq!(agent_versions::note(&mut tx, seen(&plain, 2)).await.unwrap(), 1);
    assert_eq!(agent_versions::note(&mut tx, seen(&told, 3)).await.unwrap(), 2);
    // Settings at an older commit are the version that they were.
    assert_eq!(agent_versions::find_or_note(&mut tx, seen(&plain, 4)).await.unwrap(), 1);
    // Taking a change back is a change, too.
    assert_eq!(agent_versions::note(&mut tx, seen(&plain, 5)).await.unwrap(), 3);
    assert_eq!(agent_versions::find_or_note(&mut tx, seen(&plain, 6)).await.unwrap(), 3);
    let all = agent_versions::list(&mut tx, world.repository, &name, 2).await.unwrap();
    let shown: Vec<_> = all.iter().map(|row| (row.version, row.at, &row.definition)).collect();
    assert_eq!(shown, [(3, at(5), &plain), (2, at(3), &told)]);

    let newest = agent_versions::newest_in(&mut tx, world.project).await.unwrap();
    assert_eq!(newest.iter().map(|row| row.version).collect::<Vec<_>>(), [3]);
    let new = NewProject { slug: "other", slots: 1, settings: serde_json::json!({}), now: at(0) };
    let other = repositories::insert_project(&mut tx, new).await.unwrap();
    assert!(agent_versions::newest_in(&mut tx, other).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_attempt_keeps_its_version() {
    let world = World::new().await;
    let run = world.run(1).await;
    let mut conn = world.conn().await;
    assert_eq!(attempts::get(&mut conn, run, Attempt::FIRST).await.unwrap().agent_version, None);
    agent_versions::set_of_attempt(&mut conn, run, Attempt::FIRST, 7).await.unwrap();
    assert_eq!(attempts::get(&mut conn, run, Attempt::FIRST).await.unwrap().agent_version, Some(7));
}
