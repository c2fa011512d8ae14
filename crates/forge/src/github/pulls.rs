//! Pull requests.

use http::Method;
use serde_json::{Map, Value, json};

use super::{GitHub, transport::Call, wire::WirePull};
use crate::{
    ForgeError, RepoRef,
    ids::PullNumber,
    model::{Diff, NewPull, Pull, PullUpdate},
};

impl GitHub {
    pub(super) async fn open_pull_of(&self, repo: &RepoRef, branch: &str) -> Result<Option<Pull>, ForgeError> {
        loop {
            let place = self.current(repo);
            let route = self
                .repo_route(repo, &["pulls"])?
                .query("head", &format!("{}:{branch}", place.owner))
                .query("state", "open");
            let found = self.find(repo, route, |wire: WirePull| (wire.head_branch() == branch).then_some(wire)).await?;
            match found {
                Some(wire) => return Pull::try_from(wire).map(Some),
                // The filter names the owner: after a transfer it must be asked again with the new one.
                None if self.current(repo).owner != place.owner => {}
                None => return Ok(None),
            }
        }
    }

    pub(super) async fn post_pull(&self, repo: &RepoRef, pull: &NewPull<'_>) -> Result<Pull, ForgeError> {
        let body = json!({
            "title": pull.title, "body": pull.body, "head": pull.head.as_str(), "base": pull.base, "draft": pull.draft,
        });
        let call = Call::new(Method::POST, self.repo_route(repo, &["pulls"])?).body(body);
        self.call(repo, call).await?.json::<WirePull>()?.try_into()
    }

    pub(super) async fn edit_pull(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        update: &PullUpdate<'_>,
    ) -> Result<Pull, ForgeError> {
        let state = update.state.map(|state| match state {
            crate::ItemState::Open => "open",
            crate::ItemState::Closed => "closed",
        });
        let wanted = [("title", update.title), ("body", update.body), ("state", state)];
        let body: Map<String, Value> =
            wanted.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
        let route = self.repo_route(repo, &["pulls", &number.to_string()])?;
        let call = Call::new(Method::PATCH, route).body(Value::Object(body));
        self.call(repo, call).await?.json::<WirePull>()?.try_into()
    }

    pub(super) async fn read_pull(&self, repo: &RepoRef, number: PullNumber) -> Result<Pull, ForgeError> {
        let route = self.repo_route(repo, &["pulls", &number.to_string()])?;
        self.call(repo, Call::get(route)).await?.json::<WirePull>()?.try_into()
    }

    pub(super) async fn read_diff(
        &self,
        repo: &RepoRef,
        number: PullNumber,
        max_bytes: usize,
    ) -> Result<Diff, ForgeError> {
        let route = self.repo_route(repo, &["pulls", &number.to_string()])?;
        let reply = self.call(repo, Call::get(route).accept("application/vnd.github.diff", max_bytes)).await?;
        Ok(Diff { text: String::from_utf8_lossy(&reply.body).into_owned(), truncated: reply.truncated })
    }
}
