//! The system calls that std does not show: the one file with `unsafe` in it.
//!
//! What runs between fork and exec ([`before_exec`]) allocates nothing: every path is made beforehand, as a [`Step`].

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::c_ulong;

/// One thing a child does to its own mount namespace before it becomes the program.
pub(crate) enum Step {
    /// Leave the parent's mount namespace, and let nothing travel back.
    LeaveNamespace,
    /// Make a directory.
    Directory(CString),
    /// Make an empty file.
    File(CString),
    /// Make a symbolic link.
    Link { target: CString, name: CString },
    /// mount(2).
    Mount { source: CString, target: CString, kind: CString, flags: c_ulong, data: CString },
}

/// A bind mount, for [`Step::Mount`].
pub(crate) const BIND: c_ulong = libc::MS_BIND;
/// The move of a mount, for [`Step::Mount`].
pub(crate) const MOVE: c_ulong = libc::MS_MOVE;
/// A mount whose files lend nobody's rights.
pub(crate) const NO_SUID: c_ulong = libc::MS_NOSUID;

/// Lets `command`'s child take `steps`, then write one byte to `ready`, before it becomes the program.
pub(crate) fn before_exec(command: &mut Command, steps: Vec<Step>, ready: OwnedFd) {
    let prepare = move || {
        for step in &steps {
            take(step)?;
        }
        // SAFETY: one byte of a static buffer goes to a descriptor that the closure owns.
        check(unsafe { libc::write(ready.as_raw_fd(), c"1".as_ptr().cast(), 1) })
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(prepare) };
}

fn take(step: &Step) -> io::Result<()> {
    match step {
        Step::LeaveNamespace => leave_namespace(),
        // SAFETY: the path is a C string that outlives the call.
        Step::Directory(path) => check(unsafe { libc::mkdir(path.as_ptr(), 0o755) }),
        Step::File(path) => make_file(path),
        // SAFETY: both paths are C strings that outlive the call.
        Step::Link { target, name } => check(unsafe { libc::symlink(target.as_ptr(), name.as_ptr()) }),
        Step::Mount { source, target, kind, flags, data } => mount(source, target, kind, *flags, data),
    }
}

fn leave_namespace() -> io::Result<()> {
    // SAFETY: takes flags only; the child has one thread.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE, c"")
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: c_ulong, data: &CStr) -> io::Result<()> {
    // SAFETY: all pointers are C strings that outlive the call.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })
}

fn make_file(path: &CStr) -> io::Result<()> {
    // SAFETY: the path is a C string that outlives the call.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC, 0o644) };
    check(file)?;
    // SAFETY: the descriptor was opened above and is used nowhere else.
    check(unsafe { libc::close(file) })
}

/// Reads `bytes.len()` bytes at `address` of the process that thread `pid` belongs to.
///
/// # Errors
/// `EFAULT` when not all of them can be read.
pub(crate) fn read_memory(pid: u32, address: usize, bytes: &mut [u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `local` is the exclusive slice; `remote` is checked by the kernel against the other process.
    let count = unsafe { libc::process_vm_readv(pid.cast_signed(), &raw const local, 1, &raw const remote, 1, 0) };
    check_whole(count, bytes.len())
}

/// Writes `bytes` to `address` of the process that thread `pid` belongs to.
///
/// # Errors
/// `EFAULT` when not all of them can be written.
pub(crate) fn write_memory(pid: u32, address: usize, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `local` is only read from; `remote` is checked by the kernel against the other process.
    let count = unsafe { libc::process_vm_writev(pid.cast_signed(), &raw const local, 1, &raw const remote, 1, 0) };
    check_whole(count, bytes.len())
}

/// Numbers of uinput's ioctls: group `U`, the direction and the size of an argument in the upper half.
const UI_DEV_CREATE: libc::Ioctl = 0x5501;
const UI_SET_EVBIT: libc::Ioctl = 0x4004_5564;
const UI_SET_KEYBIT: libc::Ioctl = 0x4004_5565;

/// Lets the input device that is being made report events of a kind.
pub(crate) fn allow_event_kind(uinput: &File, kind: u16) -> io::Result<()> {
    ioctl(uinput, UI_SET_EVBIT, kind)
}

/// Lets it report a key.
pub(crate) fn allow_key(uinput: &File, key: u16) -> io::Result<()> {
    ioctl(uinput, UI_SET_KEYBIT, key)
}

/// Makes it.
pub(crate) fn create_input_device(uinput: &File) -> io::Result<()> {
    ioctl(uinput, UI_DEV_CREATE, 0)
}

fn ioctl(file: &File, request: libc::Ioctl, argument: u16) -> io::Result<()> {
    // SAFETY: these requests take a number as their argument, and no pointer.
    check(unsafe { libc::ioctl(file.as_raw_fd(), request, libc::c_int::from(argument)) })
}

fn check_whole(count: libc::ssize_t, asked: usize) -> io::Result<()> {
    check(count)?;
    if usize::try_from(count) == Ok(asked) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EFAULT)) }
}

/// A system call says with a number below zero that it failed.
fn check<T: Copy + PartialOrd + Default>(result: T) -> io::Result<()> {
    if result < T::default() { Err(io::Error::last_os_error()) } else { Ok(()) }
}
