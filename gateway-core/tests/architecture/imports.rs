//! Who may import whom, and that no large circle of files forms.
//!
//! The compiler lets every module of a crate use every other one. These tables say what each folder (or
//! file) at the top of a crate may use of the others; a folder that has no line may not be there.

use std::collections::{BTreeMap, BTreeSet};

use super::root;
use super::sources::{Graph, ModulePath, graph};

/// In a circle of more files than this, none can be understood without all others.
const LARGEST_CIRCLE: usize = 5;

type Table = &'static [(&'static str, &'static [&'static [&'static str]])];

const GROUND: &[&str] = &["entropy", "id", "network", "time"];

/// Nouns and the ports that keep them know each other.
const NOUNS: &[&str] = &[
    "audit",
    "change",
    "coord",
    "event",
    "fill",
    "identity",
    "leader",
    "message",
    "protocol",
    "retention",
    "session",
    "state",
    "store",
    "tenant",
    "user",
    "worker",
];

/// Sequences use everything; nothing uses them.
const CORE: Table = &[
    ("entropy", &[GROUND]),
    ("id", &[GROUND]),
    ("network", &[GROUND]),
    ("time", &[GROUND]),
    ("balance", &[GROUND]),
    ("audit", &[GROUND, NOUNS]),
    ("change", &[GROUND, NOUNS]),
    ("coord", &[GROUND, NOUNS]),
    ("event", &[GROUND, NOUNS]),
    ("fill", &[GROUND, NOUNS]),
    ("identity", &[GROUND, NOUNS]),
    ("leader", &[GROUND, NOUNS]),
    ("message", &[GROUND, NOUNS]),
    ("protocol", &[GROUND, NOUNS]),
    ("retention", &[GROUND, NOUNS]),
    ("session", &[GROUND, NOUNS]),
    ("state", &[GROUND, NOUNS]),
    ("store", &[GROUND, NOUNS]),
    ("tenant", &[GROUND, NOUNS]),
    ("user", &[GROUND, NOUNS]),
    ("worker", &[GROUND, NOUNS]),
    ("account", &[GROUND, NOUNS]),
    ("orchestrator", &[GROUND, NOUNS, &["balance"]]),
];

/// What is there for all: options, logs and metrics, and the order of the stop.
const BASE: &[&str] = &["config", "shutdown", "telemetry"];

/// Adapters do not use each other, the edge uses no adapter, and only composition uses composition. One
/// exception: the message log says what it wants stored (`message_log::Ledger`) and the store does it.
const SERVER: Table = &[
    ("config", &[]),
    ("shutdown", &[]),
    ("system", &[]),
    ("telemetry", &[&["config"]]),
    ("cache", &[BASE, &["identity"]]),
    ("coord", &[BASE]),
    ("effects", &[BASE]),
    ("event_feed", &[BASE]),
    ("identity", &[BASE]),
    ("message_log", &[BASE]),
    ("quota", &[BASE]),
    ("store", &[BASE, &["message_log", "system"]]),
    ("worker_link", &[BASE]),
    ("http", &[BASE, &["cache", "effects", "identity", "quota"]]),
    (
        "runtime",
        &[
            BASE,
            ADAPTERS,
            &["cache", "effects", "event_feed", "http", "quota"],
        ],
    ),
    (
        "app",
        &[
            BASE,
            &[
                "cache",
                "effects",
                "event_feed",
                "http",
                "identity",
                "quota",
            ],
        ],
    ),
    (
        "server",
        &[
            BASE,
            ADAPTERS,
            &["app", "cache", "http", "runtime", "system"],
        ],
    ),
    (
        "cli",
        &[
            BASE,
            ADAPTERS,
            &["app", "http", "identity", "server", "system"],
        ],
    ),
];

const ADAPTERS: &[&str] = &["coord", "message_log", "store", "worker_link"];

fn source(member: &str) -> Graph {
    let graph = graph(&root().join(member).join("src"));
    assert!(graph.len() > 10, "{member} is read");
    graph
}

fn name(module: &ModulePath) -> String {
    module.join("::")
}

/// Every import from one folder at the top to another that the table does not allow.
fn forbidden(graph: &Graph, table: Table) -> Vec<String> {
    let table: BTreeMap<_, _> = table.iter().copied().collect();
    let mut found = Vec::new();
    for (from, targets) in graph {
        let Some(own) = from.first() else { continue };
        let Some(allowed) = table.get(own.as_str()) else {
            found.push(format!("{own} has no line in the table"));
            continue;
        };
        for to in targets {
            let Some(other) = to.first().filter(|other| *other != own) else {
                continue;
            };
            if !allowed.iter().any(|group| group.contains(&other.as_str())) {
                found.push(format!("{} imports {}", name(from), name(to)));
            }
        }
    }
    found
}

#[test]
fn folders_import_only_what_they_may() {
    for (member, table) in [("gateway-core", CORE), ("gateway-server", SERVER)] {
        let found = forbidden(&source(member), table);
        assert!(found.is_empty(), "{member}: {found:#?}");
    }
}

/// The circles: sets of modules that all reach each other. Small graphs, so by reachability.
fn circles(graph: &Graph) -> Vec<BTreeSet<&ModulePath>> {
    let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> = graph
        .keys()
        .map(|module| (module, reachable(graph, module)))
        .collect();
    let mut found: Vec<BTreeSet<&ModulePath>> = Vec::new();
    for (module, ahead) in &reached {
        if !ahead.contains(module) || found.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let back = ahead
            .iter()
            .filter(|other| reached[**other].contains(module));
        found.push(back.copied().collect());
    }
    found
}

fn reachable<'a>(graph: &'a Graph, from: &ModulePath) -> BTreeSet<&'a ModulePath> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&ModulePath> = graph[from].iter().collect();
    while let Some(module) = left.pop() {
        if found.insert(module) {
            left.extend(&graph[module]);
        }
    }
    found
}

#[test]
fn no_large_circle_of_files_imports_itself() {
    for member in ["gateway-core", "gateway-server", "gateway-testkit"] {
        let graph = source(member);
        for circle in circles(&graph) {
            let names: Vec<_> = circle.into_iter().map(name).collect();
            assert!(names.len() <= LARGEST_CIRCLE, "{member}: {names:#?}");
        }
    }
}
