//! Keys put into a document that is there, with its comments and its layout kept.

use anyhow::anyhow;
use toml_edit::{Item, RawString, Table, TableLike, Value};

/// The table at `key`, made when it is not there.
pub(in crate::cli) fn table<'a>(parent: &'a mut dyn TableLike, key: &str) -> anyhow::Result<&'a mut dyn TableLike> {
    let item = parent.entry(key).or_insert_with(|| Item::Table(Table::new()));
    // `key = { … }`, into which no list of tables fits
    if item.is_value() {
        *item = std::mem::take(item).into_table().map_or_else(|item| item, Item::Table);
    }
    item.as_table_like_mut().ok_or_else(|| anyhow!("{key} is no table"))
}

/// Sets a key, with what stands around it kept; one that is new comes with `comment` above it.
pub(in crate::cli) fn set(table: &mut dyn TableLike, key: &str, value: impl Into<Value>, comment: &str) {
    let mut value = value.into();
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
        return;
    }
    table.insert(key, Item::Value(value));
    if let Some(mut key) = table.key_mut(key) {
        key.leaf_decor_mut().set_prefix(RawString::from(comment));
    }
}
