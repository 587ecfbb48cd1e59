//! [`First`]: the first items of a list of any length.

use std::ops::Deref;

use serde::Serialize;

/// The limit on the texts of a list, in bytes.
const MAX_BYTES: usize = 32 << 20;

/// The first items in sorted order. They may be added in any order, so the result does not depend
/// on which thread is faster. The number of items and the bytes of their texts are bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct First<T> {
    items: Vec<T>,
    /// Bytes of the texts of all items.
    #[serde(skip)]
    bytes: usize,
}

/// An item with texts.
pub(super) trait Texts {
    /// Returns the length of its texts in bytes.
    fn len_bytes(&self) -> usize;
}

impl Texts for String {
    fn len_bytes(&self) -> usize {
        self.len()
    }
}

impl<T> Default for First<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
        }
    }
}

impl<T> Deref for First<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// Adds an item; the list may grow to twice its limits before items are dropped.
pub(super) fn add<T: Ord + Texts>(first: &mut First<T>, limit: usize, item: T) {
    first.bytes += item.len_bytes();
    first.items.push(item);
    if first.items.len() >= 2 * limit || first.bytes >= 2 * MAX_BYTES {
        tidy(first, limit);
    }
}

/// Sorts the items, and drops those beyond the limits.
pub(super) fn tidy<T: Ord + Texts>(first: &mut First<T>, limit: usize) {
    first.items.sort();
    first.items.truncate(limit);
    let mut bytes = 0;
    let fits = first.items.iter().take_while(|item| {
        bytes += item.len_bytes();
        bytes <= MAX_BYTES
    });
    let kept = fits.count();
    first.items.truncate(kept);
    first.bytes = first.items.iter().map(Texts::len_bytes).sum();
}

impl<T> IntoIterator for First<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_items_are_kept_in_any_order_within_limits() {
        let mut numbers: Vec<usize> = (0..1000).map(|number| number * 7919 % 1000).collect();
        for _ in 0..2 {
            let mut first = First::default();
            for number in &numbers {
                add(&mut first, 10, format!("{number:04}"));
            }
            tidy(&mut first, 10);
            let expected: Vec<String> = (0..10).map(|number| format!("{number:04}")).collect();
            assert_eq!(first[..], expected);
            numbers.reverse();
        }
        let mut long = First::default();
        for number in 0..200 {
            add(
                &mut long,
                1000,
                format!("{number:04}{}", "x".repeat(1 << 20)),
            );
            assert!(long.bytes < 2 * MAX_BYTES);
        }
        tidy(&mut long, 1000);
        assert_eq!(long.len(), 31);
        assert!(long[30].starts_with("0030"));
    }
}
