//! Paths as people join them.

use http::Uri;

/// The pages of the docs have relative addresses, so for them a slash at the end means something.
const DOCS: &str = "/docs/";

/// Returns the address with the path that is meant, if slashes stand at its end or several in a row.
pub(super) fn tidied(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let is_tidy = !path.contains("//") && (path.len() == 1 || !path.ends_with('/'));
    if is_tidy || path.starts_with(DOCS) {
        return None;
    }
    let mut tidy = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        tidy.push('/');
        tidy.push_str(segment);
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    if let Some(query) = uri.query() {
        tidy.push('?');
        tidy.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(tidy.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_change_nothing() {
        for (given, meant) in [
            ("/health/", "/health"),
            ("//api/v1/sessions", "/api/v1/sessions"),
            ("/api/v1//sessions///?a=//b/", "/api/v1/sessions?a=//b/"),
            ("//", "/"),
        ] {
            let uri = Uri::from_maybe_shared(given).expect("an address");
            let tidy = tidied(&uri).map(|uri| uri.to_string());
            assert_eq!(tidy.as_deref(), Some(meant), "{given}");
        }
        for tidy in [
            "/",
            "/health",
            "/api/v1/sessions?x=/",
            "/docs/",
            "/docs/index.css",
            "*",
        ] {
            let uri: Uri = tidy.parse().expect("an address");
            assert_eq!(tidied(&uri), None, "{tidy}");
        }
    }
}
