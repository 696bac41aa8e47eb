//! The files of the pages, as they are in the program: a file more is a line more.

/// A file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asset {
    name: &'static str,
    /// What is in it.
    pub(super) bytes: &'static [u8],
    /// Its media type.
    pub(super) mime: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! asset {
    ($name:literal, $mime:expr) => {
        Asset { name: $name, bytes: include_bytes!(concat!("../assets/", $name)), mime: $mime }
    };
}

const ASSETS: [Asset; 10] = [
    asset!("index.html", HTML),
    asset!("kiosk.html", HTML),
    asset!("login.html", HTML),
    asset!("app.js", SCRIPT),
    asset!("kiosk.js", SCRIPT),
    asset!("common.js", SCRIPT),
    asset!("settings.js", SCRIPT),
    asset!("words.js", SCRIPT),
    asset!("style.css", STYLE),
    asset!("icon.svg", PICTURE),
];

/// The file of this name.
pub(super) fn asset(name: &str) -> Option<&'static Asset> {
    static ALL: [Asset; ASSETS.len()] = ASSETS;
    ALL.iter().find(|asset| asset.name == name)
}

impl Asset {
    /// What a browser that has it shows to be told that it is the same: FNV-1a over its bytes.
    pub(super) fn tag(&self) -> String {
        let mark = self
            .bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
        format!("\"{mark:016x}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_small_hold_no_script_of_their_own_and_name_only_files_that_there_are() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes <= 150 * 1024, "{bytes} bytes");
        for page in ASSETS.iter().filter(|asset| asset.mime == HTML) {
            let text = String::from_utf8_lossy(page.bytes);
            assert!(
                !text.contains("<style") && !text.contains(" style=") && !text.contains("<script>"),
                "{}",
                page.name
            );
            for named in text.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()) {
                assert!(asset(named).is_some(), "{} names {named}", page.name);
            }
        }
    }
}
