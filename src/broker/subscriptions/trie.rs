//! The tree of filter levels. A path without branches is one node, so the tree costs what its filters contain.
//!
//! With the filters `a/b/c`, `a/b/+`, `a/b/#` and `+/x`:
//!
//! ```text
//! root ─┬─ "a/b" ─┬─ "c"
//!       │         ├─ "+"
//!       │         └─ "#"   also for the topic a/b itself
//!       └─ "+/x"
//! ```
//!
//! The first levels of the children of a node differ. Those that are literal are found by their hashes.

use std::collections::HashMap;

use crate::broker::hash::{CarriedHash, TextHash, shrink};
use crate::broker::members::Members;
#[cfg(test)]
use crate::broker::memory::{allocation, table_bytes};
use crate::broker::share::GroupKey;

/// The children of a node.
#[derive(Debug, Default)]
pub(super) struct Branches {
    /// Children whose first level is literal, by the hash of that level.
    literal: HashMap<u64, Box<Node>, CarriedHash>,
    /// Literal children whose hash another one has already.
    collided: Vec<Node>,
    /// The child that begins with `+`.
    single_level: Option<Box<Node>>,
    /// The child that is `#`.
    multi_level: Option<Box<Node>>,
}

/// A node: filters end here, or differ in the next level.
#[derive(Debug)]
pub(super) struct Node {
    /// The levels from the parent on.
    label: Box<str>,
    /// Whether the label contains no wildcard.
    is_literal: bool,
    /// Sessions whose filters end here.
    pub(super) members: Members,
    groups: Option<Box<GroupList>>,
    branches: Option<Box<Branches>>,
}

/// Groups whose filters end at one node.
#[derive(Debug, Default)]
pub(super) struct GroupList(Vec<GroupKey>);

/// What is left of a topic behind the label of a node that it matches.
enum Rest<'a> {
    Levels(&'a str),
    /// The topic ends with the label.
    Nothing,
    /// The label ends with `#`.
    Any,
}

impl Branches {
    /// Calls `found` for each node at which a filter that matches `topic` ends. Cost: the nodes that `topic` reaches.
    /// The recursion is at most as deep as `topic` has levels.
    pub(super) fn collect(&self, topic: &str, hash: &TextHash, found: &mut dyn FnMut(&Node)) {
        // a wildcard in the first level does not match a topic that begins with $ [MQTT-4.7.2-1]
        self.collect_below(topic, !topic.starts_with('$'), hash, found);
    }

    fn collect_below(&self, topic: &str, allows_wildcards: bool, hash: &TextHash, found: &mut dyn FnMut(&Node)) {
        if let (Some(node), true) = (&self.multi_level, allows_wildcards) {
            found(node);
        }
        if !self.literal.is_empty()
            && let Some(node) = self.literal.get(&hash.of(first_level(topic)))
        {
            node.collect(topic, hash, found);
        }
        for node in &self.collided {
            node.collect(topic, hash, found);
        }
        if let (Some(node), true) = (&self.single_level, allows_wildcards) {
            node.collect(topic, hash, found);
        }
    }

    /// Returns the node at which `filter` ends; makes it if there is none.
    pub(super) fn insert(&mut self, filter: &str, hash: &TextHash) -> &mut Node {
        let (mut branches, mut rest) = (self, filter);
        loop {
            let node = branches.child_or_insert(rest, hash);
            let common = common_levels(&node.label, rest);
            if common < node.label.len() {
                node.split(common, hash);
            }
            match rest.get(common + 1..) {
                None => return node,
                Some(levels) => rest = levels,
            }
            branches = node.branches.get_or_insert_default();
        }
    }

    /// Calls `remove` with the node at which `filter` ends, then removes the nodes that no filter needs any more.
    /// Returns what `remove` returned: whether it removed something. The recursion is as deep as `filter` has levels.
    pub(super) fn remove(&mut self, filter: &str, hash: &TextHash, remove: &mut dyn FnMut(&mut Node) -> bool) -> bool {
        let Some(node) = self.child_mut(filter, hash) else { return false };
        let removed = match filter.strip_prefix(&*node.label) {
            Some("") => remove(node),
            Some(rest) => {
                let branches = node.branches.as_mut().zip(rest.strip_prefix('/'));
                branches.is_some_and(|(branches, levels)| branches.remove(levels, hash, remove))
            }
            None => false,
        };
        if removed {
            node.merge();
            if node.is_unused() {
                self.remove_child(filter, hash);
            }
        }
        removed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        let wildcards = usize::from(self.single_level.is_some()) + usize::from(self.multi_level.is_some());
        self.literal.len() + self.collided.len() + wildcards
    }

    /// Returns the child with the same first level as `filter`.
    fn child_mut(&mut self, filter: &str, hash: &TextHash) -> Option<&mut Node> {
        match first_level(filter) {
            "+" => self.single_level.as_deref_mut(),
            "#" => self.multi_level.as_deref_mut(),
            level => {
                let literal = self.literal.get_mut(&hash.of(level)).map(|node| &mut **node);
                let mut candidates = literal.into_iter().chain(&mut self.collided);
                candidates.find(|node| first_level(&node.label) == level)
            }
        }
    }

    /// Returns the child with the same first level as `filter`; makes one that is a leaf if there is none.
    fn child_or_insert(&mut self, filter: &str, hash: &TextHash) -> &mut Node {
        let leaf = || Box::new(Node::leaf(filter));
        let level = match first_level(filter) {
            "+" => return self.single_level.get_or_insert_with(leaf),
            "#" => return self.multi_level.get_or_insert_with(leaf),
            level => level,
        };
        let key = hash.of(level);
        let known = self.collided.iter().position(|node| first_level(&node.label) == level);
        let is_taken = self.literal.get(&key).is_some_and(|node| first_level(&node.label) != level);
        let index = match known {
            Some(index) => index,
            None if is_taken => {
                self.collided.push(Node::leaf(filter));
                self.collided.len() - 1
            }
            None => return self.literal.entry(key).or_insert_with(leaf),
        };
        self.collided.get_mut(index).expect("the index is that of a node")
    }

    /// Adds a child whose first level no other child has.
    fn add_child(&mut self, node: Box<Node>, hash: &TextHash) {
        match first_level(&node.label) {
            "+" => self.single_level = Some(node),
            "#" => self.multi_level = Some(node),
            level => {
                if let Some(earlier) = self.literal.insert(hash.of(level), node) {
                    self.collided.push(*earlier);
                }
            }
        }
    }

    /// Removes the child with the same first level as `filter`.
    fn remove_child(&mut self, filter: &str, hash: &TextHash) {
        match first_level(filter) {
            "+" => self.single_level = None,
            "#" => self.multi_level = None,
            level => {
                let collided = self.collided.len();
                self.collided.retain(|node| first_level(&node.label) != level);
                if self.collided.len() == collided {
                    self.literal.remove(&hash.of(level));
                }
                shrink(&mut self.literal);
            }
        }
    }

    /// Removes and returns the child when there is no other.
    fn take_only_child(&mut self) -> Option<Box<Node>> {
        if self.len() > 1 {
            return None;
        }
        let wildcard = self.single_level.take().or_else(|| self.multi_level.take());
        let literal = || self.literal.drain().next().map(|(_, node)| node);
        wildcard.or_else(literal).or_else(|| self.collided.pop().map(Box::new))
    }
}

impl Node {
    fn leaf(label: &str) -> Self {
        let is_literal = !label.contains(['+', '#']);
        Self { label: label.into(), is_literal, members: Members::default(), groups: None, branches: None }
    }

    /// Returns the groups whose filters end here.
    pub(super) fn groups(&self) -> &[GroupKey] {
        self.groups.as_ref().map_or(&[], |groups| &groups.0)
    }

    /// Returns the list of groups to change; afterwards, [`Branches::remove`] drops an empty one.
    pub(super) fn groups_mut(&mut self) -> &mut Vec<GroupKey> {
        &mut self.groups.get_or_insert_default().0
    }

    fn collect(&self, topic: &str, hash: &TextHash, found: &mut dyn FnMut(&Self)) {
        match self.behind_label(topic) {
            None => {}
            Some(Rest::Any) => found(self),
            Some(Rest::Nothing) => {
                // `a/#` matches `a` as well
                if let Some(node) = self.branches.as_ref().and_then(|branches| branches.multi_level.as_ref()) {
                    found(node);
                }
                found(self);
            }
            Some(Rest::Levels(levels)) => {
                if let Some(branches) = &self.branches {
                    branches.collect_below(levels, true, hash, found);
                }
            }
        }
    }

    /// Returns what is left of `topic` behind the label; `None` when the label does not match.
    fn behind_label<'a>(&self, topic: &'a str) -> Option<Rest<'a>> {
        if self.is_literal {
            return topic.strip_prefix(&*self.label).and_then(rest_of_levels);
        }
        let (levels, is_any_below) = match self.label.strip_suffix('#') {
            Some("") => return Some(Rest::Any),
            Some(levels) => (levels.strip_suffix('/').unwrap_or(levels), true),
            None => (&*self.label, false),
        };
        let mut rest = topic;
        for (number, literal) in levels.split('+').enumerate() {
            if number > 0 {
                rest = rest.get(first_level(rest).len()..).unwrap_or_default();
            }
            rest = rest.strip_prefix(literal)?;
        }
        let rest = rest_of_levels(rest)?;
        Some(if is_any_below { Rest::Any } else { rest })
    }

    /// Divides the node in two: it keeps the first `bytes` of the label, its child has the levels behind the next `/`
    /// and everything else.
    fn split(&mut self, bytes: usize, hash: &TextHash) {
        let (label, levels) = self.label.split_at(bytes);
        let child = Self::leaf(levels.get(1..).unwrap_or_default());
        let parent = Self { branches: Some(Box::default()), ..Self::leaf(label) };
        let Self { members, groups, branches, .. } = std::mem::replace(self, parent);
        let child = Box::new(Self { members, groups, branches, ..child });
        self.branches.get_or_insert_default().add_child(child, hash);
    }

    /// Drops what is empty, and joins the node with its child where no filter ends here and nothing branches.
    fn merge(&mut self) {
        self.groups.take_if(|groups| groups.0.is_empty());
        self.branches.take_if(|branches| branches.is_empty());
        if !self.members.is_empty() || self.groups.is_some() {
            return;
        }
        let Some(child) = self.branches.as_mut().and_then(|branches| branches.take_only_child()) else { return };
        let Self { members, groups, branches, .. } = *child;
        *self = Self { members, groups, branches, ..Self::leaf(&format!("{}/{}", self.label, child.label)) };
    }

    fn is_unused(&self) -> bool {
        self.members.is_empty() && self.groups.is_none() && self.branches.is_none()
    }
}

/// Returns what is behind a level; `None` when the level does not end there.
fn rest_of_levels(text: &str) -> Option<Rest<'_>> {
    if text.is_empty() { Some(Rest::Nothing) } else { text.strip_prefix('/').map(Rest::Levels) }
}

fn first_level(levels: &str) -> &str {
    let end = levels.bytes().position(|byte| byte == b'/');
    end.and_then(|end| levels.get(..end)).unwrap_or(levels)
}

/// Returns the bytes of the levels that both texts begin with; at least the first level is the same.
fn common_levels(a: &str, b: &str) -> usize {
    let levels = a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b);
    levels.map(|(level, _)| level.len() + 1).sum::<usize>().saturating_sub(1)
}

#[cfg(test)]
impl Branches {
    /// Returns the bytes of memory that the branches use beside themselves.
    pub(super) fn bytes(&self) -> usize {
        let wildcards = self.single_level.iter().chain(&self.multi_level);
        let boxed: usize =
            self.literal.values().chain(wildcards).map(|node| node.bytes() + allocation::<Node>(1)).sum();
        let collided: usize = self.collided.iter().map(Node::bytes).sum();
        boxed + collided + allocation::<Node>(self.collided.capacity()) + table_bytes(&self.literal)
    }
}

#[cfg(test)]
impl Node {
    fn bytes(&self) -> usize {
        let branches = self.branches.as_ref().map_or(0, |branches| branches.bytes() + allocation::<Branches>(1));
        let groups = self
            .groups
            .as_ref()
            .map_or(0, |groups| allocation::<GroupList>(1) + allocation::<GroupKey>(groups.0.capacity()));
        allocation::<u8>(self.label.len()) + branches + groups + self.members.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::members::Match;
    use crate::broker::message::Granted;
    use crate::broker::session::SessionKey;
    use crate::mqtt::{QoS, TopicFilter};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn member(number: u32) -> Match {
        let session: SessionKey = slotmap::KeyData::from_ffi((1 << 32) | u64::from(number)).into();
        Match { session, granted: Granted::new(QoS::AtMostOnce) }
    }

    /// A tree of filters, each with one member.
    struct Tree {
        root: Branches,
        hash: TextHash,
    }

    impl Tree {
        fn of(filters: impl IntoIterator<Item = impl AsRef<str>>, hash: TextHash) -> Self {
            let mut tree = Self { root: Branches::default(), hash };
            for filter in filters {
                tree.insert(filter.as_ref());
            }
            tree
        }

        fn insert(&mut self, filter: &str) -> bool {
            self.root.insert(filter, &self.hash).members.insert(member(1)).is_none()
        }

        fn remove(&mut self, filter: &str) -> bool {
            let remove = &mut |node: &mut Node| node.members.remove(member(1).session).is_some();
            self.root.remove(filter, &self.hash, remove)
        }

        /// Returns how many filters match.
        fn matches(&self, topic: &str) -> usize {
            let mut count = 0;
            self.root.collect(topic, &self.hash, &mut |node| count += node.members.as_slice().len());
            count
        }

        /// Returns the number of nodes; checks that each of them is needed.
        fn nodes(&self) -> usize {
            fn below(branches: &Branches) -> usize {
                let wildcards = branches.single_level.iter().chain(&branches.multi_level);
                let children = branches.literal.values().chain(wildcards).map(|node| &**node).chain(&branches.collided);
                let nodes = children.map(|node| {
                    let children = node.branches.as_ref().map_or(0, |branches| branches.len());
                    assert!(!node.members.is_empty() || children > 1, "{} is not needed", node.label);
                    assert!(node.branches.is_none() || children > 0);
                    1 + node.branches.as_ref().map_or(0, |branches| below(branches))
                });
                nodes.sum()
            }
            below(&self.root)
        }
    }

    #[test]
    fn a_path_without_branches_is_one_node() {
        let deep = "1".to_owned() + &"/+".repeat(126);
        let mut tree = Tree::of([&deep, "a/b/c", "a/b/d/e"], TextHash::new(1));
        assert_eq!(tree.nodes(), 1 + 3);
        assert!(tree.remove("a/b/c"));
        assert_eq!(tree.nodes(), 1 + 1);
        assert_eq!((tree.matches("a/b/d/e"), tree.matches("a/b/c")), (1, 0));
        assert!(tree.remove(&deep) && tree.remove("a/b/d/e") && !tree.remove("a/b/d/e"));
        assert!(tree.root.is_empty());
    }

    #[test]
    fn a_filter_of_as_many_levels_as_are_allowed_branches_at_each_of_them() {
        let filters: Vec<String> =
            (0..1023).flat_map(|levels| ["+/", "a/"].map(|end| "a/".repeat(levels) + end)).collect();
        let mut tree = Tree::of(&filters, TextHash::new(1));
        assert_eq!(tree.matches(&"a/".repeat(1023)), 2);
        for filter in &filters {
            assert!(tree.remove(filter));
        }
        assert!(tree.root.is_empty());
    }

    const FILTER: &str = "#|(\\$?[abc]|\\+)(/([ab]?|\\+)){0,5}(/#)?";

    proptest! {
        #[test]
        fn a_tree_that_changes_agrees_with_matching_one_filter_at_a_time(
            changes in prop::collection::vec((FILTER, any::<bool>()), 0..48),
            topics in prop::collection::vec("\\$?[abc](/[ab]?){0,5}", 1..8),
            is_colliding in any::<bool>(),
        ) {
            let hash = if is_colliding { TextHash::colliding() } else { TextHash::new(1) };
            let mut tree = Tree::of([""; 0], hash);
            let mut filters = BTreeSet::new();
            for (filter, is_removed) in changes {
                // what is removed is often there
                let filter = filters.range(filter.clone()..).next().filter(|_| is_removed).unwrap_or(&filter).clone();
                if is_removed {
                    prop_assert_eq!(tree.remove(&filter), filters.remove(&filter));
                } else {
                    prop_assert_eq!(tree.insert(&filter), filters.insert(filter));
                }
                tree.nodes();
                for topic in &topics {
                    let matches = |filter: &&String| TopicFilter::new(filter).unwrap().matches(topic);
                    prop_assert_eq!(tree.matches(topic), filters.iter().filter(matches).count(), "{}", topic);
                }
            }
            for filter in filters {
                prop_assert!(tree.remove(&filter));
            }
            prop_assert!(tree.root.is_empty());
        }
    }
}
