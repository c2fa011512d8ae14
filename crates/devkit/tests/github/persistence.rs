//! A stand-in that is started again goes on where it was.

use devkit::github::{Knob, StandIn, StartError};

use crate::{
    receiver::{Receiver, SECRET},
    world::{REPOSITORY, World, options},
};

#[tokio::test]
async fn state_tokens_and_waiting_deliveries_survive() {
    let world = World::start().await;
    let token = world.stand_in.token("writer").unwrap();
    let receiver = Receiver::start().await;
    world.stand_in.create_hook(REPOSITORY, &receiver.url, SECRET, &["issue_comment"]).unwrap();
    // Held back, so that they are still waiting when the stand-in stops.
    world.stand_in.fail_deliveries(devkit::github::DeliveryFault {
        event: Some("issue_comment".into()),
        times: 3,
        effect: devkit::github::DeliveryEffect::Reorder,
    });
    world.stand_in.comment("writer", REPOSITORY, 1, "waiting").unwrap();
    let pull = world.pull("notes").await;
    let World { stand_in, data, .. } = world;
    stand_in.shutdown().await.unwrap();
    let world = World::around(StandIn::start(options(data.path())).await.unwrap(), data);
    assert_eq!(receiver.wait_for(1).await[0].payload["comment"]["body"], "waiting");
    assert_eq!(world.with_token(&token).get("/user").await.ok()["login"], "writer");
    assert_eq!(world.stand_in.comments(REPOSITORY, 1).unwrap()[0].body, "waiting");
    let files = world.nobody().get(&format!("/repos/acme/greeter/pulls/{pull}/files")).await.ok();
    assert_eq!(files[0]["filename"], "notes.txt");
    world.stand_in.knob(Knob::Clear).await.unwrap();
    assert_eq!(world.stand_in.create_issue("writer", REPOSITORY, "Next", "").unwrap().number, pull + 1);
}

#[tokio::test]
async fn only_this_machine_is_served() {
    let data = tempfile::tempdir().unwrap();
    let mut options = options(data.path());
    options.bind = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(StandIn::start(options).await, Err(StartError::NotLoopback(_))));
}
