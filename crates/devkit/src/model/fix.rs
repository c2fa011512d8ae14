//! Fixes for repositories that the scripted model knows.

/// A file that tells the repository, and the patch in the form of Codex's own `apply_patch`.
const KNOWN: &[(&str, &str)] = &[("greeter/greeting.py", include_str!("../../assets/fixes/greeter.patch"))];

/// For all other repositories.
const ANY_REPOSITORY: &str = "*** Begin Patch\n*** Add File: FIXED.md\n+The issue is fixed.\n*** End Patch\n";

/// The command that makes the fix, given what the conversation has seen so far.
pub(super) fn command(seen: &str) -> String {
    let known = KNOWN.iter().find(|(file, _)| seen.contains(file));
    let patch = known.map_or(ANY_REPOSITORY, |(_, patch)| patch);
    format!("apply_patch <<'END_OF_PATCH'\n{patch}END_OF_PATCH\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fix_follows_from_the_files_that_were_seen() {
        assert!(command("README.md\\ngreeter/greeting.py\\n").contains("strip()"));
        assert!(command("README.md").contains("FIXED.md"));
    }
}
