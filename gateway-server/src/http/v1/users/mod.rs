//! The own account.

use crate::http::routes::Routes;

/// Every route of this group.
pub fn routes() -> Routes {
    Routes::new()
}
