//! How much memory this process may use.

use std::fs;
use std::path::Path;

/// A quarter of a Pi Zero's 512 MB, in bytes: assumed where the kernel does not report its memory.
const ASSUMED_QUARTER_BYTES: usize = 128 << 20;

/// Returns a quarter of the memory that this process may use, in bytes.
///
/// That is the machine's RAM, or the limit of the process's control group where that is lower.
pub fn quarter() -> usize {
    quarter_below(Path::new("/"))
}

/// Returns [`quarter`] for the machine whose file system starts at `root`.
fn quarter_below(root: &Path) -> usize {
    let limits = [ram(root), control_group_limit(root)];
    let Some(bytes) = limits.into_iter().flatten().min() else { return ASSUMED_QUARTER_BYTES };
    usize::try_from(bytes / 4).unwrap_or(usize::MAX)
}

/// Reads the size of the RAM in bytes from `MemTotal` of `/proc/meminfo` (`proc_meminfo(5)`).
fn ram(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Reads the lowest memory limit of the process's control groups and their ancestors, in bytes (cgroups(7)).
///
/// Version 2 lists the group as `0::/path`, version 1 as `4:memory:/path`; a machine may use both. A container often
/// shows the path of the host, but mounts its own group at the top: files that do not exist are skipped.
fn control_group_limit(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (hierarchy, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let ancestors = Path::new(path.trim_start_matches('/')).ancestors();
        ancestors.filter_map(|group| read_number(&root.join(hierarchy).join(group).join(file))).min()
    });
    limits.min()
}

/// Reads a file that contains one number. `max`, which means no limit, is none.
fn read_number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// Checks the quarter, in MiB, on a machine that has these files, each given by its path and its text.
    fn check(files: &[(&str, &str)], expected_mib: usize) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        assert_eq!(quarter_below(root.path()) / MIB, expected_mib, "{files:?}");
    }

    const RAM_1_GIB: (&str, &str) = ("proc/meminfo", "MemTotal:        1048576 kB\nMemFree:         5 kB\n");

    #[test]
    fn without_a_control_group_limit_it_is_a_quarter_of_the_ram() {
        check(&[RAM_1_GIB], 256);
        check(&[RAM_1_GIB, ("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "max\n")], 256);
        check(&[("proc/meminfo", "MemTotal:         437880 kB\n")], 106);
    }

    #[test]
    fn a_lower_limit_of_the_control_group_or_of_its_parent_counts() {
        let group = ("proc/self/cgroup", "0::/system.slice/sensegate.service\n");
        let own = ("sys/fs/cgroup/system.slice/sensegate.service/memory.max", "209715200\n");
        let parent = ("sys/fs/cgroup/system.slice/memory.max", "104857600\n");
        check(&[RAM_1_GIB, group, own], 50);
        check(&[RAM_1_GIB, group, own, parent], 25);
    }

    #[test]
    fn a_limit_of_version_1_counts() {
        let group = ("proc/self/cgroup", "8:pids:/\n4:cpu,memory:/docker/0a\n0::/\n");
        check(&[RAM_1_GIB, group, ("sys/fs/cgroup/memory/docker/0a/memory.limit_in_bytes", "209715200\n")], 50);
        // a container that sees the path of its host
        check(&[RAM_1_GIB, group, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n")], 25);
        check(&[RAM_1_GIB, group, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")], 256);
    }

    #[test]
    fn a_limit_above_the_ram_does_not_count() {
        let group = ("proc/self/cgroup", "0::/\n");
        check(&[RAM_1_GIB, group, ("sys/fs/cgroup/memory.max", "4294967296\n")], 256);
    }

    #[test]
    fn a_machine_that_reports_nothing_has_a_pi_zero_s_memory() {
        check(&[], 128);
        check(&[("proc/meminfo", "MemTotal: lots\n")], 128);
    }
}
