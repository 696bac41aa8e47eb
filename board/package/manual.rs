//! Man pages and shell completions, made from the command line's own definition: `cargo run --example manual -- FOLDER`
//! writes `man/*.1` and `completions/{mynah.bash,_mynah,mynah.fish}` there. `board/package.sh` puts them into the package.

use std::path::Path;
use std::{env, fs, io};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use mynah::cli::program::Program;

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "say where to: cargo run --example manual -- FOLDER"));
    };
    let (pages, completions) = (Path::new(&folder).join("man"), Path::new(&folder).join("completions"));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    let mut program = Program::command();
    program.build();
    write_pages(&program, "mynah", &pages)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut program, "mynah", &completions)?;
    }
    Ok(())
}

/// A page for each command: `mynah-wake-record.1` is that of `mynah wake record`.
fn write_pages(command: &Command, name: &str, folder: &Path) -> io::Result<()> {
    let mut page = Vec::new();
    let title: &'static str = name.to_string().leak(); // the program ends at once, and clap wants it so
    let titled = command.clone().name(title);
    clap_mangen::Man::new(titled).render(&mut page)?;
    fs::write(folder.join(format!("{name}.1")), page)?;
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        write_pages(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(())
}
