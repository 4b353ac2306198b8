//! Scripts and styles, built in. A file's address holds a hash of it, so that browsers may keep it
//! for ever and never take an old one for a new one.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

/// Where they are.
pub(super) const FOLDER: &str = "/ui/assets/";

/// A file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const ALL: [Asset; 5] = [
    Asset { name: "htmx.js", kind: SCRIPT, bytes: include_bytes!("assets/htmx.min.js") },
    Asset { name: "hx-sse.js", kind: SCRIPT, bytes: include_bytes!("assets/hx-sse.min.js") },
    Asset { name: "page.js", kind: SCRIPT, bytes: include_bytes!("assets/page.js") },
    Asset {
        name: "page.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("assets/page.css"),
    },
    Asset { name: "icon.svg", kind: "image/svg+xml", bytes: include_bytes!("assets/icon.svg") },
];

/// Their addresses, in their order.
static PATHS: LazyLock<[String; ALL.len()]> = LazyLock::new(|| {
    ALL.map(|asset| {
        let hash = digest(&SHA256, asset.bytes);
        let hash = hash.as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes);
        format!("{FOLDER}{hash:016x}/{}", asset.name)
    })
});

/// The address of a file, by its name.
pub(crate) fn path(name: &str) -> &'static str {
    let found = ALL.iter().zip(PATHS.iter()).find(|(asset, _)| asset.name == name);
    found.map_or("", |(_, path)| path.as_str())
}

/// A file, at exactly its address.
pub(super) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
    let wanted = format!("{FOLDER}{hash}/{name}");
    let found = ALL.iter().zip(PATHS.iter()).find(|(_, path)| **path == wanted);
    let Some((asset, _)) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = HeaderValue::from_static(asset.kind);
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FOR_EVER)];
    (headers, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of others, as they came: `htmx.org` 4.0.1 of the npm registry, its `dist/htmx.min.js`,
    /// `dist/ext/hx-sse.min.js` and `LICENSE`.
    const OF_OTHERS: [(&str, &[u8], &str); 3] = [
        (
            "htmx.min.js",
            include_bytes!("assets/htmx.min.js"),
            "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
        ),
        (
            "hx-sse.min.js",
            include_bytes!("assets/hx-sse.min.js"),
            "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
        ),
        (
            "LICENSE-htmx",
            include_bytes!("assets/LICENSE-htmx"),
            "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
        ),
    ];

    #[test]
    fn what_others_wrote_is_as_it_came() {
        for (name, bytes, expected) in OF_OTHERS {
            assert_eq!(
                format!("{:?}", digest(&SHA256, bytes)),
                format!("SHA256:{expected}"),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn addresses_hold_the_hash() {
        let path = path("page.css");
        let (hash, name) = path.strip_prefix(FOLDER).unwrap().split_once('/').unwrap();
        let get = async |hash: &str, name: &str| {
            serve(Path((hash.to_owned(), name.to_owned()))).await.status()
        };
        assert_eq!(get(hash, name).await, StatusCode::OK);
        assert_eq!(get("0123456789abcdef", name).await, StatusCode::NOT_FOUND);
        assert_eq!(get(hash, "page.js").await, StatusCode::NOT_FOUND);
        assert_eq!(super::path("nothing"), "");
    }
}
