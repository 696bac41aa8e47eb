//! A terminal on which the program asks, and which answers once a question is there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longer than anything here takes; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Terminal {
    child: Child,
    hand: File,
    said: Receiver<Vec<u8>>,
    /// All that was shown.
    pub text: String,
    /// How much of it was answered already.
    read: usize,
}

impl Terminal {
    pub fn start(mut command: Command) -> Terminal {
        let (master, slave) = pair();
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // SAFETY: between fork and exec there are system calls on numbers only. The terminal becomes the child's own, so
        // that Ctrl-C means the child.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let hand = File::from(master);
        let mut eye = hand.try_clone().unwrap();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The other side's end is an error here.
            while let Ok(count) = eye.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, hand, said, text: String::new(), read: 0 }
    }

    /// Waits until this is shown, behind what was answered before.
    pub fn shows(&mut self, piece: &str) {
        let until = Instant::now() + LIMIT;
        while !self.text[self.read..].contains(piece) {
            let left = until.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(bytes) => self.text += &String::from_utf8_lossy(&bytes).replace('\r', ""),
                Err(_) => panic!("waited in vain for {piece:?}:\n{}", self.text),
            }
        }
        self.read += self.text[self.read..].find(piece).unwrap() + piece.len();
    }

    pub fn types(&mut self, keys: &str) {
        self.hand.write_all(keys.as_bytes()).unwrap();
    }

    /// All that is still said, and how it ended.
    pub fn end(&mut self) -> ExitStatus {
        let until = Instant::now() + LIMIT;
        while let Ok(bytes) = self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.text += &String::from_utf8_lossy(&bytes).replace('\r', "");
        }
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    // SAFETY: system calls on a descriptor that was just made; the name is copied into a buffer that is long enough.
    unsafe {
        let master = OwnedFd::from_raw_fd(libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC));
        assert_eq!(libc::grantpt(master.as_raw_fd()), 0);
        assert_eq!(libc::unlockpt(master.as_raw_fd()), 0);
        let mut name = [0 as libc::c_char; 128];
        assert_eq!(libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()), 0);
        let slave = libc::open(name.as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
        (master, OwnedFd::from_raw_fd(slave))
    }
}
