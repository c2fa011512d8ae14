//! What model calls may use and cost: prices, budgets, and what an attempt is allowed.

mod budget;
mod money;
mod policy;
mod price;

pub use self::{
    budget::{Account, Amount, Decision, Limit, Limits, MIN_OUTPUT, Scope, Wish, decide},
    money::{Cost, InvalidUsd, Usd},
    policy::{ModelPolicy, ModelStop, Stopped},
    price::Price,
};
