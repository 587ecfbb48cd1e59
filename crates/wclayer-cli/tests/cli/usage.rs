//! Wrong usage, help, completions, manual pages, and the commands that require Windows.

use crate::support::{Workplace, members, sample};

/// Returns the commands that the help lists.
fn commands(work: &Workplace) -> Vec<String> {
    let help = work.run(&["--help"]).succeeds().text().to_owned();
    let list = help.split("\nCommands:\n").nth(1).expect("a list");
    let names = list.lines().take_while(|line| !line.is_empty());
    // A description that does not fit on its line continues below, indented.
    let names = names.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.map(str::to_owned).collect();
    let (last, commands) = names.split_last().expect("commands");
    assert_eq!(last, "help");
    assert!(commands.iter().any(|name| name == "import"), "{names:?}");
    commands.to_vec()
}

#[test]
fn wrong_usage_ends_with_2() {
    let work = Workplace::new();
    for line in [
        "nosuchcommand",
        "import",
        "import a b",
        "import -i",
        "import --diff-id 1234 a",
        "import --format vhdx a",
        "import -q -v a",
        "export",
        "export a b",
        "export --json a",
        "export --json -o - a",
        "squash --json -o - a",
        "import -",
        "import -i -",
        "extract a -C -",
        "create -l a -",
        "man -",
        "export -z --compress zstd a",
        "export --compress lz4 a",
        "export --compress gzip:10 a",
        "info",
        "remove a b",
        "create",
        "create x",
        "create -l a --size much x",
        "create -l a --api winapi x",
        "create x y",
        "create -l",
        "mount -l a x y z",
        "unmount",
        "unmount a b c",
        "makebaselayer",
        "completions",
        "completions tcsh-of-old",
        "--color sometimes info a",
    ] {
        let run = work
            .run(&line.split(' ').collect::<Vec<_>>())
            .was_wrong_usage();
        assert!(run.stderr.contains("--help"), "{line}: {}", run.stderr);
    }
    work.run(&["import", ""]).was_wrong_usage();
    assert_eq!(work.list("."), [""; 0]);
}

#[test]
fn wrong_usage_with_json_is_an_object_too() {
    let work = Workplace::new();
    let json = work
        .run(&["export", "--json", "layer"])
        .was_wrong_usage()
        .json();
    assert_eq!(
        members(&json["error"]),
        ["causes", "hint", "kind", "message"]
    );
    assert_eq!(json["error"]["kind"], "usage");
    assert!(
        json["error"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("--output"))
    );
}

#[test]
fn ls_explains_that_l_is_not_the_long_listing() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let hint = "`-l` names a parent layer; for the long listing, use `--long`.";
    for line in [
        "ls -l BASE",
        "ls BASE -l",
        "ls BASE -Rl",
        "ls --json -l BASE",
        "ls -al BASE",
    ] {
        let line = line.replace("BASE", &base);
        let run = work.run(&line.split(' ').collect::<Vec<_>>());
        let run = run.was_wrong_usage();
        assert!(run.stderr.contains(hint), "{line}: {}", run.stderr);
        if line.contains("--json") {
            assert_eq!(run.json()["error"]["hint"], hint);
        }
    }
    for line in ["ls -lR BASE", "ls -l BASE Files", "ls -l BASE Files --long"] {
        let line = line.replace("BASE", &base);
        let run = work.run(&line.split(' ').collect::<Vec<_>>());
        run.fails(&format!("Hint: {hint}"));
    }
    for line in ["ls", "ls --all BASE", "tree -l BASE", "ls --layer"] {
        let run = work.run(&line.split(' ').collect::<Vec<_>>());
        let run = run.was_wrong_usage();
        assert!(!run.stderr.contains(hint), "{line}: {}", run.stderr);
    }
    for help in ["-h", "--help"] {
        let help = work.run(&["ls", help]).succeeds();
        let text: Vec<&str> = help.text().split_whitespace().collect();
        let text = text.join(" ");
        assert!(text.contains("`-l` names a parent layer"), "{text}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let work = Workplace::new();
    for command in &commands(&work) {
        let long = work.run(&[command, "--help"]).succeeds();
        let example = format!("\n  wclayer {command} ");
        assert!(long.text().contains(&example), "{command}: {}", long.text());
        let short = work.run(&[command, "-h"]).succeeds();
        assert!(short.text().len() < long.text().len(), "{command}");
        assert_eq!(
            work.run(&["help", command.as_str()]).succeeds().stdout,
            long.stdout,
            "{command}"
        );
    }
    assert_eq!(
        work.run(&["h", "import"]).succeeds().stdout,
        work.run(&["import", "--help"]).succeeds().stdout
    );
}

#[test]
fn the_option_for_parents_has_one_help_text() {
    let work = Workplace::new();
    let texts = commands(&work).into_iter().filter_map(|command| {
        let help = work.run(&[&command, "--help"]).succeeds();
        let text = help.text().split("  -l, --layer <PARENT>\n").nth(1)?;
        let lines = text
            .lines()
            .take_while(|line| !line.starts_with("  -") && !line.starts_with("      -"));
        Some((
            command,
            lines.collect::<Vec<_>>().join("\n").trim().to_owned(),
        ))
    });
    let texts: Vec<_> = texts.collect();
    assert!(texts.len() > 10, "{texts:?}");
    for (command, text) in &texts {
        assert_eq!(*text, texts[0].1, "{command}");
    }
}

#[test]
fn the_size_of_a_scratch_layer_has_a_unit() {
    let work = Workplace::new();
    for size in ["20G", "1.5 TiB", "53687091200"] {
        let run = work.run(&["create", "-l", "base", "--size", size, "scratch"]);
        // The size is accepted; the service, or the parent, is missing.
        assert_eq!(run.code, Some(1), "{size}: {}", run.stderr);
    }
    for size in ["20GB", "-1", "0.5", "99999999T"] {
        work.run(&["create", "-l", "base", "--size", size, "scratch"])
            .was_wrong_usage();
    }
}

#[test]
fn quiet_keeps_results() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let run = work.run(&["import", "-q", "--format", "portable", "-i", &base, "base"]);
    assert_eq!(run.succeeds().text(), "");
    for command in [
        &["info", "base"][..],
        &["ls", "base"],
        &["stat", "base", "Files"],
        &["find", "base"],
        &["tree", "base"],
        &["du", "base"],
        &["validate", "--explain", "tar-record"],
    ] {
        let loud = work.run(command).succeeds();
        assert_ne!(loud.text(), "", "{command:?}");
        let quiet = work.run(&[&["-q"][..], command].concat()).succeeds();
        assert_eq!(quiet.text(), loud.text(), "{command:?}");
    }
}

#[test]
fn without_arguments_the_help_is_printed() {
    let work = Workplace::new();
    let run = work.run(&[]).succeeds();
    assert_eq!(run.stdout, work.run(&["-h"]).succeeds().stdout);
    assert_eq!(run.stderr, "");
    for command in &commands(&work) {
        assert!(run.text().contains(&format!("\n  {command} ")), "{command}");
    }
}

#[test]
fn the_version_is_printed() {
    let run = Workplace::new().run(&["--version"]).succeeds();
    assert_eq!(
        run.text(),
        format!("wclayer {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn commands_for_windows_say_what_they_require() {
    let work = Workplace::new();
    let needed = match cfg!(windows) {
        true => "the Host Compute Service is not on this machine",
        false => "requires Windows with the Host Compute Service (vmcompute.dll)",
    };
    for line in [
        "create -l app -l base scratch",
        "mount -l app -l base scratch target",
        "mount --layer app scratch",
        "unmount scratch",
        "unmount scratch target",
        "makebaselayer base",
    ] {
        let run = work.run(&line.split(' ').collect::<Vec<_>>());
        let run = run.fails(needed);
        assert_eq!(run.text(), "");
    }
    for command in ["create", "mount", "unmount", "makebaselayer"] {
        let help = work.run(&[command, "--help"]).succeeds();
        assert!(help.text().contains("vmcompute.dll"), "{command}");
    }
}

#[test]
fn completions_know_the_commands_of_every_shell() {
    let work = Workplace::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = work.run(&["completions", shell]).succeeds();
        for command in &commands(&work) {
            assert!(script.text().contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn man_prints_a_page_or_writes_them_all() {
    let work = Workplace::new();
    let page = work.run(&["man"]).succeeds();
    assert!(page.text().contains(".TH wclayer 1"), "{}", page.text());
    assert!(page.text().contains("Examples:"), "{}", page.text());

    let run = work.run(&["man", "pages/man1"]).succeeds();
    assert_eq!(run.text(), "");
    let pages = work.list("pages/man1");
    assert!(pages.contains(&"wclayer.1".to_owned()), "{pages:?}");
    assert_eq!(pages.len(), 1 + commands(&work).len(), "{pages:?}");
    for command in &commands(&work) {
        let page = work.read(&format!("pages/man1/wclayer-{command}.1"));
        let page = String::from_utf8(page).expect("UTF-8");
        assert!(page.contains("Example"), "{command}");
    }
}
