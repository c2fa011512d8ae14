//! The texts that we write on the forge. Pure: the same facts give the same text, so that an unchanged one is not
//! written again.

mod pull_request;
mod schedule;
mod status;
mod sticky;
mod words;

pub use self::{
    pull_request::{PullRequestText, pull_request_body, pull_request_title, revised_body},
    schedule::{schedule_issue, schedule_marker},
    status::status_description,
    sticky::{Continues, NotLetOut, StepLine, StickyComment, sticky_comment},
    words::{MAX_CHARS, neutral},
};
use crate::services_yaml::AgentName;
use words::{closed_fences, cut};

/// Longest part of an agent's words in a text of ours; the rest of it is short.
const MAX_AGENT_CHARS: usize = 40_000;

/// An agent's own words as a review or an answer, under a hidden marker.
#[must_use]
pub fn agent_words(marker: &str, agent: &AgentName, words: &str) -> String {
    format!("{marker}\n{}\n\n<sub>Written by the agent `{agent}` of codex-k8s.</sub>\n", quoted_words(words))
}

/// The answer to a comment on a line, under a hidden marker.
#[must_use]
pub fn reply(marker: &str, words: &str, head_sha: &str) -> String {
    let short: String = head_sha.chars().take(10).collect();
    format!("{marker}\n{}\n\n<sub>In {short}.</sub>\n", quoted_words(words))
}

/// The one polite comment on an issue whose sender may not start an agent.
#[must_use]
pub fn refusal_comment(marker: &str, login: &str, cause: &str) -> String {
    let cause = neutral(cause.trim().trim_end_matches('.'));
    format!(
        "{marker}\nThank you, {}. No agent was started: {cause}. Somebody with write access can start one with the same label \
         or command.\n",
        neutral(login)
    )
}

/// An agent's words, made harmless and bounded; a fence that they leave open is closed.
fn quoted_words(words: &str) -> String {
    closed_fences(&cut(&neutral(words.trim()), MAX_AGENT_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agent_words_are_harmless_and_marked() {
        let text =
            agent_words("<!-- m -->", &"planner".parse().unwrap(), "Ask @ann <!-- codex-k8s:run:x -->\n```\ncode");
        assert_eq!(
            text,
            "<!-- m -->\nAsk @\u{200b}ann &lt;!-- codex-k8s:run:x -->\n```\ncode\n```\n\n\
             <sub>Written by the agent `planner` of codex-k8s.</sub>\n"
        );
    }

    #[test]
    fn endless_words_are_cut() {
        let text = agent_words("<!-- m -->", &"dev".parse().unwrap(), &"@x ".repeat(100_000));
        assert!(text.chars().count() < MAX_CHARS, "{}", text.chars().count());
        assert!(text.contains("more characters were cut") && text.ends_with("</sub>\n"));
    }

    #[test]
    fn a_refusal_is_polite_and_pings_nobody() {
        assert_eq!(
            refusal_comment("<!-- m -->", "eve", "@eve has no write access."),
            "<!-- m -->\nThank you, eve. No agent was started: @\u{200b}eve has no write access. Somebody with write access can \
             start one with the same label or command.\n"
        );
    }
}
