//! Holding requests and answers to GitHub's published description.
