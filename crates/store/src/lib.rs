//! The only SQL in the tree, one module per aggregate.
