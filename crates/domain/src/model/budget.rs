//! Whether a call fits into what is left, and how long its answer may be.
//!
//! A call takes its estimate of the input and the largest output out of what is left before it is made; its end puts back
//! what was not used. So calls that go on at the same time can't use up together what each of them saw.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Price, Usd};
use crate::{sentences, text_enum::text_enum};

/// Output tokens below which an answer is not worth asking for.
pub const MIN_OUTPUT: u64 = 256;

/// An answer cut to this many tokens is still useful; to fewer only if waiting for others would not make it more.
const USEFUL_OUTPUT: u64 = 8_192;

text_enum! {
    /// Over what a budget reaches.
    Scope {
        /// All attempts of a run.
        Run = "run",
        /// A project's day, in UTC.
        Day = "day",
        /// A project's month, in UTC.
        Month = "month",
    }
}

/// The most that may be used within a scope; none: as much as is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Tokens, in and out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Usd>,
    /// Whether the tokens are the platform's ceiling, so that the project can't have more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tokens_capped: bool,
    /// Whether the money is.
    #[serde(default, skip_serializing_if = "is_false")]
    pub usd_capped: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The limits of all scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Of the run.
    #[serde(default)]
    pub run: Limit,
    /// Of the project's day.
    #[serde(default)]
    pub day: Limit,
    /// Of the project's month.
    #[serde(default)]
    pub month: Limit,
}

/// Tokens and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Tokens, in and out.
    pub tokens: u64,
    /// Money; nothing for models without a price.
    pub usd: Usd,
}

/// What a scope has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// By calls that have ended.
    pub spent: Amount,
    /// At most by those under way.
    pub reserved: Amount,
}

/// What a call would use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Estimate of its input, in tokens.
    pub input: u64,
    /// The longest answer, in tokens; 0 where there is none, as with embeddings.
    pub output: u64,
    /// The model's price, if it has one.
    pub price: Option<Price>,
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be made.
    Granted {
        /// Its longest answer, in tokens.
        output: u64,
        /// Whether that is less than was wished for.
        cut: bool,
        /// What is taken out for it.
        amount: Amount,
    },
    /// It would fit, once others under way have put back what they don't use.
    Busy,
    /// It doesn't fit any more: a sentence.
    Spent(String),
    /// There is a limit on money, and the model has no price: a sentence.
    Unpriced(String),
}

impl Limits {
    /// The limit of a scope.
    #[must_use]
    pub const fn of(&self, scope: Scope) -> Limit {
        match scope {
            Scope::Run => self.run,
            Scope::Day => self.day,
            Scope::Month => self.month,
        }
    }

    /// Whether anything is limited at all.
    #[must_use]
    pub fn any(&self) -> bool {
        Scope::ALL.iter().any(|scope| self.of(*scope) != Limit::default())
    }
}

impl Wish {
    /// What it would take out with an answer of this length.
    #[must_use]
    pub fn amount(&self, output: u64) -> Amount {
        let price = |price: Price| price.input.times(self.input).plus(price.output.times(output));
        Amount { tokens: self.input.saturating_add(output), usd: self.price.map_or(Usd::ZERO, price) }
    }
}

/// One limit and what is left of it.
struct Bound {
    scope: Scope,
    limit: Cap,
    capped: bool,
    now: Option<u64>,
    later: Option<u64>,
}

#[derive(Clone, Copy)]
enum Cap {
    Tokens(u64),
    Usd(Usd),
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(tokens) => write!(f, "{tokens} tokens"),
            Self::Usd(usd) => write!(f, "{usd}"),
        }
    }
}

/// Decides about a call; `accounts` are in the order of [`Scope::ALL`].
#[must_use]
pub fn decide(limits: &Limits, accounts: &[Account; 3], wish: &Wish) -> Decision {
    let mut bounds = Vec::new();
    for (scope, account) in Scope::ALL.iter().zip(accounts) {
        let limit = limits.of(*scope);
        if let Some(tokens) = limit.tokens {
            let bound = by_tokens(*scope, tokens, account, wish);
            bounds.push(Bound { capped: limit.tokens_capped, ..bound });
        }
        if let Some(usd) = limit.usd {
            let Some(price) = wish.price else { return Decision::Unpriced(unpriced(*scope)) };
            let bound = by_money(*scope, usd, account, (wish.input, price));
            bounds.push(Bound { capped: limit.usd_capped, ..bound });
        }
    }
    let granted = |output: u64| {
        let output = output.min(wish.output);
        Decision::Granted { output, cut: output < wish.output, amount: wish.amount(output) }
    };
    let least = MIN_OUTPUT.min(wish.output);
    // `None` sorts below every number: not even the input fits.
    let Some(narrowest) = bounds.iter().min_by_key(|bound| bound.later) else { return granted(wish.output) };
    let Some(later) = narrowest.later.filter(|output| *output >= least) else {
        return Decision::Spent(spent(narrowest));
    };
    match bounds.iter().map(|bound| bound.now).min().flatten() {
        Some(now) if now >= wish.output.min(USEFUL_OUTPUT) || now >= later && now >= least => granted(now),
        _ => Decision::Busy,
    }
}

fn by_tokens(scope: Scope, limit: u64, account: &Account, wish: &Wish) -> Bound {
    let room = |used: u64| limit.checked_sub(used)?.checked_sub(wish.input);
    let (spent, reserved) = (account.spent.tokens, account.reserved.tokens);
    Bound {
        scope,
        limit: Cap::Tokens(limit),
        capped: false,
        now: room(spent.saturating_add(reserved)),
        later: room(spent),
    }
}

fn by_money(scope: Scope, limit: Usd, account: &Account, (input, price): (u64, Price)) -> Bound {
    let room = |used: Usd| {
        let left = limit.nano().checked_sub(used.nano())?.checked_sub(price.input.times(input).nano())?;
        Some(left.checked_div(price.output.nano()).unwrap_or(u64::MAX))
    };
    let (spent, reserved) = (account.spent.usd, account.reserved.usd);
    Bound { scope, limit: Cap::Usd(limit), capped: false, now: room(spent.plus(reserved)), later: room(spent) }
}

fn spent(bound: &Bound) -> String {
    let (limit, field) = (bound.limit, field(bound.scope, matches!(bound.limit, Cap::Usd(_))));
    // Raising what a ceiling holds down would change nothing.
    let raise = if bound.capped {
        sentences::budget_ceiling(format_args!("BUDGET_MAX_{}", field.to_ascii_uppercase()))
    } else {
        sentences::budget_raise(format_args!("budget.{field}"))
    };
    match bound.scope {
        Scope::Run => sentences::budget_spent_run(limit, raise),
        Scope::Day => sentences::budget_spent_day(limit, raise),
        Scope::Month => sentences::budget_spent_month(limit, raise),
    }
}

fn unpriced(scope: Scope) -> String {
    let (money, tokens) = (field(scope, true), field(scope, false));
    sentences::model_unpriced(format_args!("budget.{money}"), format_args!("budget.{tokens}"))
}

const fn field(scope: Scope, money: bool) -> &'static str {
    match (scope, money) {
        (Scope::Run, true) => "per_run_usd",
        (Scope::Run, false) => "per_run_tokens",
        (Scope::Day, true) => "per_day_usd",
        (Scope::Day, false) => "per_day_tokens",
        (Scope::Month, true) => "per_month_usd",
        (Scope::Month, false) => "per_month_tokens",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price =
        Price { input: Usd::from_nano(1_000), cached_input: Usd::from_nano(100), output: Usd::from_nano(10_000) };

    fn tokens(run: u64) -> Limits {
        Limits { run: Limit { tokens: Some(run), ..Limit::default() }, ..Limits::default() }
    }

    fn used(spent: u64, reserved: u64) -> [Account; 3] {
        let amount = |tokens| Amount { tokens, usd: Usd::from_nano(tokens * 1_000) };
        [Account { spent: amount(spent), reserved: amount(reserved) }; 3]
    }

    fn wish(output: u64) -> Wish {
        Wish { input: 1_000, output, price: Some(PRICE) }
    }

    fn output(decision: &Decision) -> Option<(u64, bool)> {
        if let Decision::Granted { output, cut, .. } = decision { Some((*output, *cut)) } else { None }
    }

    #[test]
    fn without_limits_everything_is_granted() {
        let unpriced = Wish { price: None, ..wish(32_000) };
        assert_eq!(output(&decide(&Limits::default(), &used(u64::MAX / 2_000, 0), &unpriced)), Some((32_000, false)));
    }

    #[test]
    fn an_answer_is_cut_to_what_is_left() {
        for (spent, reserved, expected) in [
            (0, 0, Some((20_000, false))),
            (79_000, 0, Some((20_000, false))),
            (90_000, 0, Some((9_000, true))),
            (98_700, 0, Some((300, true))),
            // Less than is worth asking for.
            (98_800, 0, None),
            (100_001, 0, None),
            // A useful answer fits beside what others have reserved.
            (0, 90_000, Some((9_000, true))),
        ] {
            let decision = decide(&tokens(100_000), &used(spent, reserved), &wish(20_000));
            assert_eq!(output(&decision), expected, "{spent} {reserved}");
        }
    }

    #[test]
    fn what_only_others_hold_is_waited_for() {
        let busy = [(0, 95_000), (0, 99_500), (0, 200_000), (90_000, 9_000)];
        for (spent, reserved) in busy {
            let decision = decide(&tokens(100_000), &used(spent, reserved), &wish(20_000));
            assert_eq!(decision, Decision::Busy, "{spent} {reserved}");
        }
    }

    #[test]
    fn money_is_counted_with_the_models_price() {
        let limits =
            Limits { day: Limit { usd: Some(Usd::from_nano(11_000_000)), ..Limit::default() }, ..Limits::default() };
        // 1,000 tokens in cost 1,000,000; what is left buys 1,000 tokens out.
        let granted = decide(&limits, &used(0, 0), &wish(5_000));
        assert_eq!(output(&granted), Some((1_000, true)));
        let Decision::Granted { amount, .. } = granted else { panic!("{granted:?}") };
        assert_eq!(amount, Amount { tokens: 2_000, usd: Usd::from_nano(11_000_000) });
        let Decision::Spent(words) = decide(&limits, &used(9_000, 0), &wish(5_000)) else { panic!() };
        assert!(words.contains("this day, $0.011, is spent") && words.contains("`budget.per_day_usd`"), "{words}");
        let unpriced = decide(&limits, &used(0, 0), &Wish { price: None, ..wish(1) });
        assert!(matches!(unpriced, Decision::Unpriced(words) if words.contains("`budget.per_day_tokens`")));
    }

    #[test]
    fn a_call_without_an_answer_needs_room_for_its_input_alone() {
        let embedding = Wish { output: 0, ..wish(0) };
        assert_eq!(output(&decide(&tokens(100_000), &used(99_000, 0), &embedding)), Some((0, false)));
        assert!(matches!(decide(&tokens(100_000), &used(99_001, 0), &embedding), Decision::Spent(_)));
    }

    #[test]
    fn the_narrowest_limit_is_named() {
        let limits = Limits { month: Limit { tokens: Some(5), ..Limit::default() }, ..tokens(1_000_000) };
        let Decision::Spent(words) = decide(&limits, &used(0, 0), &wish(10)) else { panic!() };
        assert!(words.contains("this month, 5 tokens") && words.contains("raise `budget.per_month_tokens`"), "{words}");
    }

    #[test]
    fn whom_to_ask_for_more_than_the_ceiling_is_said() {
        let run = Limit { tokens: Some(5), tokens_capped: true, ..Limit::default() };
        let Decision::Spent(words) = decide(&Limits { run, ..Limits::default() }, &used(0, 0), &wish(10)) else {
            panic!()
        };
        assert!(
            words.contains("operator's `BUDGET_MAX_PER_RUN_TOKENS`") && !words.contains("services.yaml"),
            "{words}"
        );
    }
}
