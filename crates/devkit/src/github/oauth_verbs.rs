//! What tests and the devkit do about signing in, in process.

use super::{ApiError, StandIn, oauth, state::Address};

impl StandIn {
    /// Makes an application known that people sign in to; they are sent back to the callback and nowhere else.
    pub fn register_oauth_app(&self, client_id: &str, secret: &str, callback: &str) -> Result<(), ApiError> {
        oauth::register(&self.forge, client_id, secret, callback)
    }

    /// Gives an account other addresses.
    pub fn set_emails(&self, login: &str, addresses: Vec<Address>) -> Result<(), ApiError> {
        self.forge.write(|tx| {
            let id = tx.model.user(login).ok_or(ApiError::NotFound)?.id;
            let user = tx.model.users.get_mut(&id).ok_or(ApiError::NotFound)?;
            user.addresses = addresses;
            Ok(())
        })
    }
}
