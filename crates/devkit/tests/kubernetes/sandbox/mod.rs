//! What runs in an agent's pod, seen from inside by an agent of a real run; and where the platform's secrets are while it runs.

mod cancel;
mod inside;
mod scene;
mod secrets;
