//! Who did it.

use super::json::Object;

/// A user of the forge. The id counts; logins change hands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sender {
    /// Numeric id.
    pub id: i64,
    /// Login, for people.
    pub login: String,
    /// Whether the forge calls it a bot.
    pub is_bot: bool,
}

impl Sender {
    pub(super) fn read(user: &Object<'_>) -> Option<Self> {
        let is_bot = user.name("type").is_some_and(|kind| kind == "Bot");
        Some(Self { id: user.number("id")?, login: user.name("login")?, is_bot })
    }
}
