//! What values on the heap cost in memory: upper bounds for the containers of std.
//!
//! A table has 4 buckets for its first entry, and at most 16 for 8 entries when it has grown. A list has room for 4
//! elements, or for twice as many as it has. Both are expected to be shrunk when they are less than a quarter full.

/// Bytes that an allocator adds to an allocation at most: a header, and what it rounds up.
pub(super) const ALLOCATION: usize = 4 * size_of::<usize>();

/// Bytes that an `Arc` adds to its value: two counters, and an allocation.
pub(super) const ARC: usize = 2 * size_of::<usize>() + ALLOCATION;

/// Returns the most bytes that one more entry adds to a hash table that has entries already.
pub(super) const fn table_entry<T>() -> usize {
    // buckets for 4 times as many entries, 8 buckets for 7 entries; one byte a bucket
    (4 * 8 * (size_of::<T>() + 1)).div_ceil(7)
}

/// Returns the bytes of a hash table with that many buckets: one byte a bucket, and 16 of these more.
pub(super) const fn table<T>(buckets: usize) -> usize {
    buckets * (size_of::<T>() + 1) + 16 + ALLOCATION
}

/// Returns the most bytes that one more element adds to a list.
pub(super) const fn list_entry<T>() -> usize {
    4 * size_of::<T>() + ALLOCATION
}

/// Returns the most bytes that one more entry adds to a large B-tree: a leaf has a header, and room for 11 entries of
/// which 5 are used at least; the same is true of the nodes above, which have an edge to each node below them.
pub(super) const fn tree_entry<T>() -> usize {
    let leaf = 11 * size_of::<T>() + 2 * size_of::<usize>() + ALLOCATION;
    let above = (leaf + 12 * size_of::<usize>()) / 5;
    (leaf + above) / 5
}

/// Returns the bytes that an allocation of `count` values uses.
#[cfg(test)]
pub(super) fn allocation<T>(count: usize) -> usize {
    if count == 0 { 0 } else { (size_of::<T>() * count + size_of::<usize>()).next_multiple_of(16).max(32) }
}

/// Returns the bytes that a hash table uses on the heap.
#[cfg(test)]
pub(super) fn table_bytes<K, V, S>(map: &std::collections::HashMap<K, V, S>) -> usize {
    let buckets = if map.capacity() < 8 { (map.capacity() + 1) & !1 } else { map.capacity() * 8 / 7 };
    if buckets == 0 { 0 } else { allocation::<u8>(buckets * (size_of::<(K, V)>() + 1) + 16) }
}
