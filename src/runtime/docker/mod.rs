//! Docker behind the trait, by bollard.
