//! The list of routes: each with its handler, its description and who it is for.
//!
//! A route is one line, and the access class stands in it. From that line come the layer that enforces
//! the class, the security requirement and the `x-access` mark in the API document, and with them the
//! test that walks all routes; so a route cannot be added without deciding who may use it.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use gateway_core::identity::Access;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{ComponentsBuilder, OpenApi, OpenApiBuilder, RefOr};
use utoipa_axum::router::UtoipaMethodRouter;

use super::auth::{Gate, GateParts, guard};
use super::body::BodyLimit;
use super::openapi;
use super::parts::ServerParts;

/// A list of routes, of one resource or of all.
#[derive(Default)]
#[must_use]
pub struct Routes {
    list: Vec<Route>,
}

struct Route {
    access: Access,
    counted: bool,
    schemas: Vec<(String, RefOr<Schema>)>,
    paths: Paths,
    handler: MethodRouter<ServerParts>,
}

impl Routes {
    /// Makes an empty list of routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what `routes!(…)` makes of handlers of one path, all of the same access class.
    pub fn add(self, access: Access, route: UtoipaMethodRouter<ServerParts>) -> Self {
        self.push(access, true, route)
    }

    /// Adds routes like [`Routes::add`], with another limit for the body than the configured one.
    pub fn add_sized(
        self,
        access: Access,
        bytes: usize,
        (schemas, paths, handler): UtoipaMethodRouter<ServerParts>,
    ) -> Self {
        let handler = handler.layer(Extension(BodyLimit(bytes)));
        self.push(access, true, (schemas, paths, handler))
    }

    /// Adds a public route for machines that ask often, such as health checks: it costs nothing and is
    /// not counted against their address.
    pub fn add_probe(self, route: UtoipaMethodRouter<ServerParts>) -> Self {
        self.push(Access::Public, false, route)
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

    /// Returns the OpenAPI description of all routes.
    #[must_use]
    pub fn document(&self) -> OpenApi {
        let mut paths = Paths::new();
        let mut components = ComponentsBuilder::new();
        for route in &self.list {
            for (path, item) in &route.paths.paths {
                let mut item = item.clone();
                for (method, operation) in operations(&mut item) {
                    describe(operation, route.access);
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
        openapi::finish(
            OpenApiBuilder::new()
                .paths(paths)
                .components(Some(components.build()))
                .build(),
        )
    }

    /// Makes the router of all routes, each behind its guard.
    pub(super) fn router(self, parts: &Arc<GateParts>) -> Router<ServerParts> {
        self.list.into_iter().fold(Router::new(), |router, route| {
            let gate = Gate {
                parts: Arc::clone(parts),
                access: route.access,
                counted: route.counted,
            };
            let guarded = route.handler.route_layer(from_fn_with_state(gate, guard));
            let paths = route.paths.paths.into_keys();
            paths.fold(router, |router, path| router.route(&path, guarded.clone()))
        })
    }

    fn push(
        mut self,
        access: Access,
        counted: bool,
        (schemas, paths, handler): UtoipaMethodRouter<ServerParts>,
    ) -> Self {
        self.list.push(Route {
            access,
            counted,
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

fn describe(operation: &mut Operation, access: Access) {
    let mark = ExtensionsBuilder::new()
        .add("x-access", openapi::mark(access))
        .build();
    operation.extensions.get_or_insert_default().merge(mark);
    operation.security = openapi::security(access);
    operation
        .responses
        .responses
        .entry("default".to_owned())
        .or_insert_with(openapi::failure);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::v1;

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
