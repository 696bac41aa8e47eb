//! Who has a device open, as far as this user may know.

use std::fs;
use std::path::Path;

/// Name and id of a process that has `device` open, another one than this.
pub(super) fn of(device: &Path) -> Option<String> {
    let device = fs::canonicalize(device).ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok()).find_map(|id| {
        let has_it = || {
            let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == device))
        };
        (id != std::process::id() && has_it()).then(|| {
            let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            format!("{} (process {id})", name.trim())
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_program_that_has_a_file_open_is_found_by_name() {
        let path = std::env::temp_dir().join(format!("mynah-held-{}", std::process::id()));
        let file = fs::File::create(&path).unwrap();
        assert_eq!(of(&path), None, "this process is not meant");
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::from(file)).spawn().unwrap();
        let holder = of(&path);
        child.kill().unwrap();
        let _ = child.wait();
        fs::remove_file(&path).unwrap();
        assert_eq!(holder, Some(format!("sleep (process {})", child.id())));
    }
}
