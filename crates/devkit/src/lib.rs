//! The development kit: tools, local platform, stand-ins and the test runner.
