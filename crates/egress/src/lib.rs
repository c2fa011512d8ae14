//! The two helpers of the egress proxy, which is a stock squid: it starts them, and asks them line by line.
//!
//! [`sign_in`] is squid's helper for Basic authentication. A program signs in with any name and the egress token of its run as the
//! password; only the token's form is looked at, so that whoever brings none is asked for it. [`admit`] is an external ACL: it asks
//! the gateway, with the token, whether the run may reach a host. The gateway knows the lists and records what it refuses. Whatever
//! goes wrong here lets nobody out.
//!
//! Both speak squid's protocol with channels: each line begins with a number, under which it is answered, in any order.

mod admit;
mod helper;
mod sign_in;

pub use admit::{AdmitSettings, admit};
pub use helper::HelperError;
pub use sign_in::sign_in;
