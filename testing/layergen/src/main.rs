//! `layergen`: writes a generated layer, or a directory as a layer, to standard output.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use layergen::{Profile, Stats, generate, wrap_tree};

const USAGE: &str = "usage: layergen --seed N --profile small|medium|large > TAR
       layergen tree DIRECTORY --prefix PATH > TAR";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(command) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&command) {
        Ok(stats) => {
            eprintln!(
                "{} files, {} directories, {} hard links, {} streams; {} bytes of content, {} of tar",
                stats.files,
                stats.directories,
                stats.hard_links,
                stats.streams,
                stats.content_bytes,
                stats.tar_bytes
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("layergen: {error}");
            ExitCode::FAILURE
        }
    }
}

enum Command<'a> {
    Generate(u64, Profile),
    Tree(&'a Path, &'a str),
}

/// Parses the command line; `None` if it is neither of the two forms.
fn parse<'a>(arguments: &[&'a str]) -> Option<Command<'a>> {
    if let ["tree", directory, "--prefix", prefix] = arguments {
        return Some(Command::Tree(Path::new(*directory), prefix));
    }
    let (mut seed, mut profile) = (None, None);
    for pair in arguments.chunks(2) {
        match pair {
            ["--seed", number] => seed = Some(number.parse().ok()?),
            ["--profile", "small"] => profile = Some(Profile::small()),
            ["--profile", "medium"] => profile = Some(Profile::medium()),
            ["--profile", "large"] => profile = Some(Profile::large()),
            _ => return None,
        }
    }
    Some(Command::Generate(seed?, profile?))
}

fn run(command: &Command<'_>) -> io::Result<Stats> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let stats = match *command {
        Command::Generate(seed, profile) => generate(seed, profile, &mut out)?,
        Command::Tree(directory, prefix) => wrap_tree(directory, prefix, &mut out)?,
    };
    out.flush()?;
    Ok(stats)
}
