//! The list of routes: each with its handler, its description and who it is for.
//!
//! A route is one line, and the access class stands in it. From that line come the layer that enforces
//! the class, the security requirement and the `x-access` mark in the API document, and with them the
//! test that walks all routes; so a route cannot be added without deciding who may use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use gateway_core::identity::Access;
use http::Method;
use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ComponentsBuilder, OpenApiBuilder, RefOr};
use utoipa_axum::router::UtoipaMethodRouter;

use super::auth::{Gate, GateParts, guard};
use super::body::BodyLimit;
use super::openapi;
use super::parts::ServerParts;
use super::query::KnownQuery;

/// A list of routes, of one resource or of all.
#[derive(Default)]
#[must_use]
pub struct Routes {
    list: Vec<Route>,
}

struct Route {
    access: Access,
    manner: Manner,
    on_core: bool,
    schemas: Vec<(String, RefOr<Schema>)>,
    paths: Paths,
    handler: MethodRouter<ServerParts>,
}

/// How strangers and unknown parameters are treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Whether requests of strangers count against their address.
    pub(super) counted: bool,
    /// Whether a query with unknown parameters is refused.
    pub(super) strict: bool,
}

impl Manner {
    /// The manner of routes for people and their programs, and that of routes for workers.
    const fn of(access: Access) -> Self {
        Self {
            counted: true,
            strict: !matches!(access, Access::Worker | Access::Bootstrap),
        }
    }
}

impl Route {
    /// Returns the query parameters that the route knows, if it takes no others.
    fn known_query(&self) -> Option<KnownQuery> {
        if !self.manner.strict {
            return None;
        }
        let mut known = KnownQuery::default();
        for item in self.paths.paths.values() {
            for (name, operation) in operations(&mut item.clone()) {
                if let Ok(method) = name.to_uppercase().parse() {
                    known.add(method, operation);
                }
            }
        }
        Some(known)
    }
}

impl Routes {
    /// Makes an empty list of routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what `routes!(…)` makes of handlers of one path, all of the same access class.
    pub fn add(self, access: Access, route: UtoipaMethodRouter<ServerParts>) -> Self {
        self.push(access, Manner::of(access), route)
    }

    /// Adds routes like [`Routes::add`], with another limit for the body than the configured one.
    pub fn add_sized(
        self,
        access: Access,
        bytes: usize,
        (schemas, paths, handler): UtoipaMethodRouter<ServerParts>,
    ) -> Self {
        let handler = handler.layer(Extension(BodyLimit(bytes)));
        self.push(access, Manner::of(access), (schemas, paths, handler))
    }

    /// Adds a public route for machines that ask often, such as health checks: it costs nothing and is
    /// not counted against their address.
    pub fn add_probe(self, route: UtoipaMethodRouter<ServerParts>) -> Self {
        let manner = Manner {
            counted: false,
            strict: false,
        };
        self.push(Access::Public, manner, route)
    }

    /// Adds a public route for machines like [`Routes::add_probe`] that costs something, or that strangers
    /// could use to guess a secret: it is counted against their address.
    pub fn add_watched(self, route: UtoipaMethodRouter<ServerParts>) -> Self {
        let manner = Manner {
            counted: true,
            strict: false,
        };
        self.push(Access::Public, manner, route)
    }

    /// Lets the route that was added last be served on the core where its requests arrive, instead of on the
    /// control runtime. Its handler must do without pooled connections: it may use what is in memory,
    /// what reads on the control runtime by itself (caches, quotas), and the core's own link and log.
    pub fn on_core(mut self) -> Self {
        if let Some(route) = self.list.last_mut() {
            route.on_core = true;
        }
        self
    }

    /// Adds the routes of another list.
    pub fn merge(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self
    }

    /// Puts every route below `prefix`.
    pub fn below(mut self, prefix: &str) -> Self {
        for route in &mut self.list {
            let paths = std::mem::take(&mut route.paths.paths);
            let moved = paths
                .into_iter()
                .map(|(path, item)| (format!("{prefix}{path}"), item));
            route.paths.paths = moved.collect();
        }
        self
    }

    /// Returns the OpenAPI description of all routes. `server` is the address before their paths.
    #[must_use]
    pub fn document(&self, server: &str) -> Value {
        let mut paths = Paths::new();
        let mut components = ComponentsBuilder::new();
        for route in &self.list {
            for (path, item) in &route.paths.paths {
                let mut item = item.clone();
                for (method, operation) in operations(&mut item) {
                    openapi::describe(operation, route.access, route.manner);
                    operation.operation_id = Some(name(method, path));
                }
                match paths.paths.get_mut(path) {
                    Some(present) => present.merge_operations(item),
                    None => {
                        paths.paths.insert(path.clone(), item);
                    }
                }
            }
            components = components.schemas_from_iter(route.schemas.clone());
        }
        let document = OpenApiBuilder::new()
            .paths(paths)
            .components(Some(components.build()));
        openapi::finish(document.build(), server)
    }

    /// Returns every operation as its handler describes it.
    #[cfg(test)]
    pub(super) fn operations(&self) -> Vec<Operation> {
        let items = self
            .list
            .iter()
            .flat_map(|route| route.paths.paths.values());
        let mut items: Vec<_> = items.cloned().collect();
        let found = items.iter_mut().flat_map(operations);
        found.map(|(_, operation)| operation.clone()).collect()
    }

    /// Returns the path of each route, with those of its methods that are served on the core.
    pub(super) fn paths(&self) -> BTreeMap<String, Vec<Method>> {
        let mut known = BTreeMap::<_, Vec<_>>::new();
        for route in &self.list {
            for (path, item) in &route.paths.paths {
                let on_core = known.entry(path.clone()).or_default();
                let mut item = item.clone();
                let methods = operations(&mut item).map(|(method, _)| method.to_uppercase());
                let methods = methods.filter(|_| route.on_core);
                on_core.extend(methods.filter_map(|method| method.parse::<Method>().ok()));
            }
        }
        known
    }

    /// Makes the router of all routes, each behind its guard.
    pub(super) fn router(self, parts: &Arc<GateParts>) -> Router<ServerParts> {
        self.list.into_iter().fold(Router::new(), |router, route| {
            let gate = Gate {
                parts: Arc::clone(parts),
                access: route.access,
                counted: route.manner.counted,
                query: route.known_query().map(Arc::new),
            };
            let guarded = route.handler.route_layer(from_fn_with_state(gate, guard));
            let paths = route.paths.paths.into_keys();
            paths.fold(router, |router, path| router.route(&path, guarded.clone()))
        })
    }

    fn push(
        mut self,
        access: Access,
        manner: Manner,
        (schemas, paths, handler): UtoipaMethodRouter<ServerParts>,
    ) -> Self {
        self.list.push(Route {
            access,
            manner,
            on_core: false,
            schemas,
            paths,
            handler,
        });
        self
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths = self.list.iter().flat_map(|route| route.paths.paths.keys());
        f.debug_list().entries(paths).finish()
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("get", &mut item.get),
        ("put", &mut item.put),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
        ("head", &mut item.head),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Returns the id of an operation, made of its method and path: so ids are unique and stay when handlers
/// are renamed.
fn name(method: &str, path: &str) -> String {
    let words = path.trim_start_matches(super::BASE).split(['/', '-', '.']);
    let words = words.map(|word| word.trim_matches(['{', '}', '*']));
    words
        .filter(|word| !word.is_empty())
        .fold(method.to_owned(), |name, word| format!("{name}_{word}"))
}

#[cfg(test)]
mod tests {
    use super::super::v1;
    use super::*;

    #[test]
    fn a_schema_name_means_one_thing() {
        let mut known = BTreeMap::new();
        let all = v1::routes().merge(v1::system::routes());
        for (name, schema) in all.list.into_iter().flat_map(|route| route.schemas) {
            let text = serde_json::to_string(&schema).expect("a schema");
            let before = known.insert(name.clone(), text.clone());
            assert!(
                before.is_none_or(|before| before == text),
                "two types are called {name}: name one with #[schema(as = …)]"
            );
        }
    }
}
