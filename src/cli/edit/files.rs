//! The files that change: shown before, written all or none, each at once.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, anyhow, bail};

use super::super::directory_lock::DirectoryLock;
use super::super::replace::{Access, Draft, directory};
use super::diff::changes;

/// Permissions of a directory that is new.
const DIRECTORY_MODE: u32 = 0o755;

/// How a file is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Shown {
    /// Line by line.
    Lines,
    /// By these words: it holds secrets, or nothing that anybody reads.
    As(&'static str),
}

/// A file, as it is and as it is to be.
#[derive(Debug)]
pub(in crate::cli) struct Change {
    pub(in crate::cli) path: PathBuf,
    /// `None` when there is none.
    pub(in crate::cli) old: Option<String>,
    pub(in crate::cli) new: String,
    pub(in crate::cli) access: Access,
    pub(in crate::cli) shown: Shown,
    /// Whether the old one is kept under another name.
    pub(in crate::cli) has_backup: bool,
}

impl Change {
    fn is_one(&self) -> bool {
        self.old.as_ref() != Some(&self.new)
    }

    /// What happens to it, with what goes and comes.
    fn show(&self) -> String {
        let what = if self.old.is_some() { "changes" } else { "is new" };
        let head = format!("{} {what}", self.path.display());
        let lines = match self.shown {
            Shown::As(words) => return format!("{head}: {words}\n"),
            Shown::Lines => changes(self.old.as_deref().unwrap_or_default(), &self.new),
        };
        format!("{head}:\n    {}\n", lines.join("\n    "))
    }

    /// What was shown and agreed to must still be what is there.
    fn check_still(&self) -> anyhow::Result<()> {
        let is_same = match (fs::read_to_string(&self.path), &self.old) {
            (Ok(text), Some(old)) => text == *old,
            (Err(error), None) => error.kind() == ErrorKind::NotFound,
            _ => false,
        };
        if is_same { Ok(()) } else { Err(anyhow!("{} was changed meanwhile", self.path.display())) }
    }

    fn back_up(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some(old) = self.old.as_ref().filter(|_| self.has_backup) else { return Ok(None) };
        let backup = free_name(&self.path)?;
        let mode = fs::metadata(&self.path)?.permissions().mode() & 0o7777;
        let draft = Draft::write(&backup, old, Access { mode, group: None });
        draft.and_then(Draft::put_new).with_context(|| format!("{}: cannot be written", backup.display()))?;
        Ok(Some(backup))
    }
}

/// `sensegate.toml.bak-1`, or the first number that is free.
fn free_name(path: &Path) -> anyhow::Result<PathBuf> {
    let named = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".bak-{number}"));
        PathBuf::from(name)
    };
    let free = (1..1000).map(named).find(|path| path.symlink_metadata().is_err());
    free.ok_or_else(|| anyhow!("{}.bak-1 to 999 are all there", path.display()))
}

/// The files that change, in the order in which they are written: what names others comes last.
#[derive(Debug)]
pub(in crate::cli) struct Changes(Vec<Change>);

impl Changes {
    /// Those of `files` that are not yet as they are to be.
    pub(in crate::cli) fn of(files: Vec<Change>) -> Self {
        Self(files.into_iter().filter(Change::is_one).collect())
    }

    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What happens to each.
    pub(in crate::cli) fn show(&self) -> String {
        self.0.iter().map(Change::show).collect()
    }

    /// Writes them, and tells what was written.
    ///
    /// # Errors
    /// When one was changed since it was read, or cannot be written; nothing is changed then.
    pub(in crate::cli) fn commit(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut made = Vec::new();
        let result = self.write(&mut made);
        if result.is_err() {
            // only those that are empty go
            made.iter().rev().for_each(|directory| drop(fs::remove_dir(directory)));
        }
        result
    }

    fn write(&self, made: &mut Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
        let (mut drafts, mut written) = (Vec::new(), Vec::new());
        for change in &self.0 {
            make_directory(directory(&change.path), made)?;
        }
        let paths = self.0.iter().map(|change| change.path.as_path());
        let _locks = DirectoryLock::acquire_all(paths).context("cannot lock the directories of the files")?;
        for change in &self.0 {
            change.check_still()?;
            let draft = Draft::write(&change.path, &change.new, change.access);
            drafts.push(draft.with_context(|| format!("{}: cannot be written", change.path.display()))?);
        }
        for change in &self.0 {
            written.extend(change.back_up()?);
        }
        for (change, draft) in self.0.iter().zip(drafts) {
            let put = if change.old.is_some() { draft.put() } else { draft.put_new() };
            put.with_context(|| format!("{}: cannot be written", change.path.display()))?;
            written.push(change.path.clone());
        }
        Ok(written)
    }
}

/// Makes `directory` and those above it; notes those that were not there.
fn make_directory(directory: &Path, made: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        make_directory(parent, made)?;
    }
    let created = fs::create_dir(directory);
    // whatever the umask is
    let opened = created.and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(DIRECTORY_MODE)));
    opened.with_context(|| format!("{}: cannot be made", directory.display()))?;
    made.push(directory.to_owned());
    Ok(())
}

/// The nearest directory above `path` that is there.
fn nearest(path: &Path) -> &Path {
    path.ancestors().skip(1).find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"))
}

/// Whether the file at `path` could be written at all, asked before any question is.
///
/// # Errors
/// What to do when not.
pub(in crate::cli) fn check_writable(path: &Path) -> anyhow::Result<()> {
    let directory = nearest(path);
    let probe = directory.join(format!(".sensegate-setup-{}", process::id()));
    match File::create_new(&probe).and_then(|_| fs::remove_file(&probe)) {
        Ok(()) => Ok(()),
        Err(error) => bail!(
            "{} cannot be written: {error}; `sudo sensegate setup` may, and --config FILE writes elsewhere",
            directory.display()
        ),
    }
}

/// Whether the service, for whose group `access` is, may not read the file at `path`: one that was there before keeps its
/// owner and its permissions.
pub(in crate::cli) fn is_hidden(path: &Path, access: Access) -> bool {
    let (Some(group), Ok(metadata)) = (access.group, fs::metadata(path)) else { return false };
    let mode = metadata.permissions().mode();
    mode & 0o004 == 0 && !(metadata.gid() == group && mode & 0o040 != 0)
}

/// A directory for files that are only looked at, gone with this value. Nobody else sees into it.
pub(in crate::cli) struct Staging(PathBuf);

impl Staging {
    /// Beside the file at `path`, or with the temporary files when nothing is to be written there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(in crate::cli) fn make(path: &Path, is_dry: bool) -> io::Result<Self> {
        let parent = if is_dry { std::env::temp_dir() } else { nearest(path).to_owned() };
        let staging = parent.join(format!(".sensegate-setup-{}", process::id()));
        DirBuilder::new().mode(0o700).create(&staging)?;
        Ok(Self(staging))
    }

    /// Puts a file into it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::cli) fn put(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // what is left behind hinders nobody: the name is this process's own
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: PathBuf, old: Option<&str>, new: &str) -> Change {
        let (old, access) = (old.map(ToOwned::to_owned), Access::ALL);
        Change { path, old, new: new.into(), access, shown: Shown::Lines, has_backup: true }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_written_with_the_directories_they_need_and_old_ones_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("a"), "old").unwrap();
        fs::write(path("a.bak-1"), "older").unwrap();
        let changes = Changes::of(vec![
            change(path("x/y/c"), None, "c"),
            change(path("same"), Some("s"), "s"),
            change(path("a"), Some("old"), "new"),
        ]);
        assert_eq!(changes.commit().unwrap(), [path("a.bak-2"), path("x/y/c"), path("a")]);
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "new");
        assert_eq!(fs::read_to_string(path("a.bak-2")).unwrap(), "old");
        assert_eq!(names(root.path()), ["a", "a.bak-1", "a.bak-2", "x"]);
    }

    #[test]
    fn one_that_cannot_be_written_leaves_all_as_they_were() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("a"), "old").unwrap();
        let meanwhile = [change(path("x/c"), None, "c"), change(path("a"), Some("another"), "new")];
        let error = Changes::of(meanwhile.into()).commit().unwrap_err().to_string();
        assert!(error.contains("was changed meanwhile"), "{error}");
        let no_directory = [change(path("a"), Some("old"), "new"), change(path("a/b"), None, "b")];
        assert!(Changes::of(no_directory.into()).commit().is_err());
        assert_eq!((fs::read_to_string(path("a")).unwrap().as_str(), names(root.path())), ("old", vec!["a".into()]));
    }

    #[test]
    fn what_changes_is_shown_and_secrets_are_not() {
        let secret = Change { shown: Shown::As("user ann"), ..change("/p".into(), Some("ann:x"), "ann:y") };
        let changes =
            Changes::of(vec![secret, change("/c".into(), Some("a\nb\n"), "a\nc\n"), change("/n".into(), None, "n")]);
        let expected = "/p changes: user ann\n/c changes:\n    - b\n    + c\n/n is new:\n    + n\n";
        assert_eq!(changes.show(), expected);
        assert!(Changes::of(vec![change("/c".into(), Some("a"), "a")]).is_empty());
    }

    #[test]
    fn file_that_the_service_may_not_read_is_found() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("passwords");
        fs::write(&file, "").unwrap();
        let own = fs::metadata(&file).unwrap().gid();
        let is_hidden_with = |mode, group| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            is_hidden(&file, Access { mode: 0o640, group })
        };
        assert!(is_hidden_with(0o600, Some(own)) && is_hidden_with(0o640, Some(own + 1)));
        assert!(!is_hidden_with(0o640, Some(own)) && !is_hidden_with(0o644, Some(own + 1)));
        assert!(!is_hidden_with(0o600, None), "there is no service");
    }

    #[test]
    fn directory_that_is_missing_is_asked_for_above() {
        let root = tempfile::tempdir().unwrap();
        check_writable(&root.path().join("a/b/c.toml")).unwrap();
        assert!(names(root.path()).is_empty());
        let error = check_writable(Path::new("/proc/nowhere/sensegate.toml")).unwrap_err().to_string();
        assert!(error.contains("sudo sensegate setup"), "{error}");
    }

    #[test]
    fn staging_is_gone_afterwards() {
        let root = tempfile::tempdir().unwrap();
        let staging = Staging::make(&root.path().join("a/sensegate.toml"), false).unwrap();
        assert!(staging.put("x", "text").unwrap().exists());
        drop(staging);
        assert!(names(root.path()).is_empty());
    }
}
