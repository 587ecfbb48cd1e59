//! The rules that every import enforces, checked on the index of a layer and a view of its parents.

mod links;
mod whole;

pub(crate) use links::{LinkEnd, Links};
pub(crate) use whole::{check, check_each};
