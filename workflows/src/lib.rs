//! Durable workflows: decisions only, and the declarations of the activities they call.
