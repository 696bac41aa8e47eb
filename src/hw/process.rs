//! This process as the system sees it: what others may look at, and what it uses.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Keeps what is in this process's memory out of files: a crash leaves no core file, and no process without
/// privileges reads its memory or its environment, even one of the same user. Keys and speech are in both.
///
/// This is also why keys are not overwritten after use: they are needed again at every connection.
///
/// # Errors
/// The system refuses; the program may go on all the same.
pub fn forbid_core_files() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let no: libc::c_ulong = 0;
    // SAFETY: `none` is a live rlimit of plain numbers.
    if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: this option takes a number and no pointer.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, no, no, no, no) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What is passed on of this program's environment to one that it starts: what that needs to find its files and speak its
/// language. Never more: the API key and the folder of credentials stand there, too.
pub const PASSED_ON: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// Has the program start in a session and group of its own, without mynah's blocked signals and files. It must be started
/// on a thread that lives on: the kernel kills it when that ends.
pub fn set_apart(command: &mut Command) {
    let parent = i32::try_from(std::process::id()).unwrap_or_default();
    // SAFETY: between fork and exec it only makes system calls, on numbers and on its own stack.
    unsafe { command.pre_exec(move || stand_alone(parent)) };
}

/// In the child: away from mynah's group, its blocked signals and its files.
fn stand_alone(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: system calls that take numbers, and a signal set that is filled before it is read.
    unsafe {
        // No terminal either: nothing asks for a password there.
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        // mynah holds SIGTERM back (hw/signals.rs), and a program inherits that.
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        if libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        // A mynah that is killed leaves none running, where no systemd looks after it.
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 || libc::getppid() != parent {
            return Err(io::Error::last_os_error());
        }
        // Whatever a library opened without close-on-exec; kernels before 5.11 do not know the call.
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}

/// What the process uses now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, sockets and devices.
    pub files: u64,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB resident, {} threads, {} open files", self.resident_kib, self.threads, self.files)
    }
}

/// What the process uses now; none where the system does not say.
pub fn use_now() -> Option<Use> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let number =
        |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok());
    // One of them is the folder that is being read.
    let files = (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1);
    Some(Use { resident_kib: number("VmRSS:")?, threads: number("Threads:")?, files })
}

/// Other processes of this name whose first argument is `argument`.
pub fn others(name: &str, argument: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_one = |id: &u32| {
        let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        let (comm, line) = (read("comm"), read("cmdline"));
        let mut words = line.split(|byte| *byte == 0);
        comm.trim_ascii() == name.as_bytes() && words.by_ref().nth(1).is_some_and(|word| word == argument.as_bytes())
    };
    ids.filter(|id| *id != std::process::id()).filter(is_one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_crash_leaves_no_core_file_and_the_process_still_sees_what_it_uses() {
        forbid_core_files().unwrap();
        // SAFETY: this option takes nothing and answers a number.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }, 0);
        let mut limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: `limit` is a live rlimit.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) }, 0);
        assert_eq!((limit.rlim_cur, limit.rlim_max), (0, 0));
        let used = use_now().unwrap();
        assert!(used.resident_kib > 100 && used.threads >= 1 && used.files >= 3, "{used}");
    }
}
