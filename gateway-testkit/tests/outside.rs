//! `examples/outside`: a package outside the workspace builds against core and testkit, and runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn workspace() -> PathBuf {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR"));
    testkit.parent().expect("the workspace").to_owned()
}

/// Returns the lines of a manifest that name the gateway's crates.
fn dependency_lines(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines();
    lines.filter(|line| line.starts_with("gateway-")).collect()
}

#[test]
fn a_package_outside_the_workspace_embeds_core_and_testkit() {
    let (workspace, place) = (
        workspace(),
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside"),
    );
    let example = workspace.join("examples/outside");
    fs::create_dir_all(place.join("src")).expect("a folder");
    fs::copy(example.join("src/main.rs"), place.join("src/main.rs")).expect("copied");
    // The versions that are here already, so nothing has to be fetched.
    fs::copy(workspace.join("Cargo.lock"), place.join("Cargo.lock")).expect("copied");
    let manifest = fs::read_to_string(example.join("Cargo.toml")).expect("a manifest");
    let here = format!("path = \"{}/", workspace.display());
    let manifest = manifest.replace("path = \"../../", &here);
    fs::write(place.join("Cargo.toml"), manifest).expect("written");

    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--quiet", "--offline"])
        .current_dir(&place);
    // A folder of its own: the one of the workspace may be in use by whoever runs this test.
    let ran = cargo.env("CARGO_TARGET_DIR", place.join("target")).output();
    let ran = ran.expect("cargo runs");
    let (said, complained) = (
        String::from_utf8_lossy(&ran.stdout).into_owned(),
        String::from_utf8_lossy(&ran.stderr).into_owned(),
    );
    assert!(ran.status.success(), "{complained}");
    assert!(said.starts_with("connected after "), "{said}");
}

#[test]
fn the_readme_names_the_same_dependencies_and_compiler() {
    let read = |name: &str| fs::read_to_string(workspace().join(name)).expect("a file");
    let (readme, manifest) = (read("README.md"), read("examples/outside/Cargo.toml"));
    for line in dependency_lines(&manifest) {
        let line = line.replace("../../", "../whatsapp-gateway/");
        assert!(readme.contains(&line), "README.md lacks {line}");
    }
    let workspace = read("Cargo.toml");
    let compiler = |text: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("rust-version = ").map(str::to_owned))
    };
    assert_eq!(compiler(&manifest), compiler(&workspace));
    let version = compiler(&workspace).expect("a version");
    let sentence = format!("Rust {} or newer", version.trim_matches('"'));
    assert!(
        readme.contains(&sentence),
        "README.md does not say {sentence:?}"
    );
}
