//! The domain as its users see it.

mod services_yaml;
