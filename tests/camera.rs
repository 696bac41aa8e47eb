//! A camera's pictures from a program that nobody here wrote (ffmpeg): taken whole out of its stream, and mended where their
//! tables are missing; killed or held still in mid-stream, seen by the whole daemon.
#![allow(clippy::unwrap_used)]

#[path = "camera/trouble.rs"]
mod trouble;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use mynah::eyes::splitter::{Picture, Splitter};

/// Runs ffmpeg with `input` and these arguments; answers what it wrote.
fn ffmpeg(args: &str, input: &[u8]) -> Vec<u8> {
    let mut program = Command::new("ffmpeg");
    program.args(["-v", "error", "-nostdin"]).args(args.split(' '));
    // What is to be read stands in a file: a pipe that is full on both sides would stand still.
    let file = std::env::temp_dir().join(format!("mynah-camera-{}-{}", std::process::id(), input.len()));
    fs::File::create(&file).unwrap().write_all(input).unwrap();
    let Output { status, stdout, stderr } = program.stdin(fs::File::open(&file).unwrap()).output().unwrap();
    let _ = fs::remove_file(&file);
    assert!(status.success(), "{args}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// A moving picture of three seconds as a stream of JPEG, with the usual Huffman tables.
fn stream(size: &str) -> Vec<u8> {
    let source = format!("-f lavfi -i testsrc2=size={size}:rate=5 -t 3");
    ffmpeg(&format!("{source} -c:v mjpeg -huffman default -pix_fmt yuvj422p -f mjpeg pipe:1"), &[])
}

/// Each picture of a stream.
fn pictures(stream: &[u8]) -> Vec<Picture> {
    let mut splitter = Splitter::default();
    // In pieces smaller than any picture: none is overtaken by the next.
    stream.chunks(500).filter_map(|piece| splitter.push(piece)).collect()
}

/// The pixels of a JPEG picture.
fn pixels(jpeg: &[u8]) -> Vec<u8> {
    ffmpeg("-f mjpeg -i pipe:0 -f rawvideo -pix_fmt gray pipe:1", jpeg)
}

/// Without its Huffman tables, as many USB cameras send it.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let at = jpeg.windows(4).position(|four| four == [0xff, 0xc4, 0x01, 0xa2]).unwrap();
    [&jpeg[..at], &jpeg[at + 2 + 0x1a2..]].concat()
}

#[test]
#[ignore = "needs ffmpeg; sh tests/run.sh runs it"]
fn every_picture_of_a_strangers_stream_is_taken_whole_and_can_be_read() {
    let found = pictures(&stream("1280x720"));
    assert_eq!(found.len(), 15);
    for picture in &found {
        assert_eq!((picture.size.width, picture.size.height), (1280, 720));
    }
    assert_eq!(pixels(&found[7].jpeg).len(), 1280 * 720);
}

#[test]
#[ignore = "needs ffmpeg; sh tests/run.sh runs it"]
fn pictures_without_their_tables_get_the_usual_ones_and_look_as_before() {
    let whole = pictures(&stream("320x240"));
    let bare: Vec<u8> = whole.iter().flat_map(|picture| without_tables(&picture.jpeg)).collect();
    let mended = pictures(&bare);
    assert_eq!(mended.len(), whole.len());
    for (mended, whole) in mended.iter().zip(&whole).step_by(7) {
        assert_eq!(pixels(&mended.jpeg), pixels(&whole.jpeg));
    }
}

#[test]
#[ignore = "needs ffmpeg; sh tests/run.sh runs it"]
fn the_doctor_takes_pictures_with_the_programs_camera() {
    let folder = std::env::temp_dir().join(format!("mynah-camera-doctor-{}", std::process::id()));
    fs::create_dir_all(folder.join("lines")).unwrap();
    let args = ["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=10", "-f", "mjpeg", "pipe:1"];
    let args: Vec<String> = args.iter().map(|arg| format!("\"{arg}\"")).collect();
    let board = format!(
        "description = \"x\"\ndriver = \"files\"\nfolder = \"{}\"\n[capture]\npcm = \"x\"\n[playback]\npcm = \"x\"\n\
         [camera]\nsource = \"command\"\ncommand = [\"ffmpeg\", {}]\n",
        folder.join("lines").display(),
        args.join(", ")
    );
    fs::write(folder.join("board.toml"), board).unwrap();
    let doctor = Command::new(env!("CARGO_BIN_EXE_mynah"))
        .args(["doctor", "--no-sound", "--no-network", "--json", "--board"])
        .arg(folder.join("board.toml"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let _ = fs::remove_dir_all(&folder);
    let report: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let camera = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "camera").unwrap();
    assert_eq!(camera["verdict"], "ok", "{camera}");
    assert!(camera["figure"].as_str().unwrap().starts_with("640×480, "), "{camera}");
    // Ten a second; a machine that is busy with something else gives fewer.
    assert!(camera["pictures_per_s"].as_f64().is_some_and(|rate| (1.0..=11.0).contains(&rate)), "{camera}");
}
