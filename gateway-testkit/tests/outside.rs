//! `examples/outside`: a package outside the workspace builds against the libraries as they are packaged, and runs.

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

/// The libraries, in the order in which one needs the other.
const LIBRARIES: [&str; 3] = ["gateway-core", "gateway-worker", "gateway-testkit"];

/// Runs a program to its end, and returns what it said.
fn run(command: &mut Command) -> String {
    let ran = command.output().expect("it runs");
    let complained = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{command:?}: {complained}");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// Packages the libraries as for a registry and unpacks them below `place`. Returns the lines that lead to them.
fn packaged(place: &Path) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "package",
        "--quiet",
        "--offline",
        "--no-verify",
        "--allow-dirty",
        // It would be looked up in the registry, where they are not.
        "--exclude-lockfile",
    ]);
    for library in LIBRARIES {
        cargo.args(["--package", library]);
    }
    let target = place.join("packages");
    let _ = fs::remove_dir_all(&target);
    cargo
        .current_dir(workspace())
        .env("CARGO_TARGET_DIR", &target);
    run(&mut cargo);
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = String::from("\n[patch.crates-io]\n");
    for library in LIBRARIES {
        let folder = target.join("package");
        let file = format!("{library}-{version}.crate");
        run(Command::new("tar")
            .args(["-xzf", &file])
            .current_dir(&folder));
        let path = folder.join(format!("{library}-{version}"));
        lines.push_str(&format!("{library} = {{ path = {path:?} }}\n"));
    }
    lines
}

/// The manifest asks for the libraries by version, as from a registry.
fn by_version(manifest: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let line = |line: &str| match line.split_once(" = { path") {
        Some((name, _)) => format!("{name} = \"{version}\"\n"),
        None => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

#[test]
fn a_package_outside_the_workspace_embeds_the_packaged_libraries() {
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
    let manifest = by_version(&manifest) + &packaged(&place);
    fs::write(place.join("Cargo.toml"), manifest).expect("written");

    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["run", "--quiet", "--offline"])
        .current_dir(&place);
    // A folder of its own: the one of the workspace may be in use by whoever runs this test.
    let said = run(cargo.env("CARGO_TARGET_DIR", place.join("target")));
    assert!(said.contains("CONNECTED on worker-"), "{said}");
    assert!(said.contains("epoch 2"), "{said}");
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
