//! Answers that a target packs although nobody asked it to.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// How a body is packed (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    /// The zlib format; some servers leave its frame out.
    Deflate,
}

/// The body as it was meant, `most` bytes of it at most, as far as it came. One that is packed in
/// another way, or is not what it says, stays as it came.
pub(crate) fn unpacked(headers: &HeaderMap, body: Bytes, most: usize) -> Bytes {
    let read = match packing(headers) {
        None => return body,
        Some(Packing::Gzip) => begin(MultiGzDecoder::new(&body[..]), most),
        Some(Packing::Deflate) => {
            let framed = begin(ZlibDecoder::new(&body[..]), most);
            if framed.is_empty() { begin(DeflateDecoder::new(&body[..]), most) } else { framed }
        }
    };
    if read.is_empty() { body } else { read.into() }
}

/// Packed once, in a way that is known.
fn packing(headers: &HeaderMap) -> Option<Packing> {
    let values = headers.get_all(CONTENT_ENCODING).iter();
    let words = values.flat_map(|value| value.to_str().unwrap_or("?").split(',')).map(str::trim);
    let mut words = words.filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("identity"));
    let (first, second) = (words.next()?, words.next());
    if second.is_some() {
        return None;
    }
    match first.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(Packing::Gzip),
        "deflate" => Some(Packing::Deflate),
        _ => None,
    }
}

/// What can be read before the bound, the end, or what is broken.
fn begin(mut packed: impl Read, most: usize) -> Vec<u8> {
    let mut read = Vec::new();
    let mut piece = [0; 4096];
    while read.len() < most {
        let Ok(count @ 1..) = packed.read(&mut piece) else { break };
        read.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    read.truncate(most);
    read
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn by(encoding: &str, body: Vec<u8>) -> Bytes {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        unpacked(&headers, body.into(), 1_000)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_read() {
        let text = br#"{"ok":true}"#;
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(text).unwrap();
        for (encoding, body) in [
            ("gzip", gzip(text)),
            ("X-GZIP", gzip(text)),
            ("identity, gzip", gzip(text)),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("identity", text.to_vec()),
        ] {
            assert_eq!(by(encoding, body), text[..], "{encoding}");
        }
    }

    #[test]
    fn what_is_large_is_cut_and_what_is_broken_stays() {
        assert_eq!(by("gzip", gzip(&b"x".repeat(1_000_000))), [b'x'; 1_000][..]);
        let mut cut = gzip(b"the beginning can be read");
        cut.truncate(cut.len() - 8);
        assert_eq!(by("gzip", cut), b"the beginning can be read"[..]);
        for (encoding, body) in [("gzip", "no gzip"), ("deflate", "neither"), ("br", "x")] {
            assert_eq!(by(encoding, body.into()), body.as_bytes(), "{encoding}");
        }
        assert_eq!(by("gzip, gzip", b"twice".to_vec()), b"twice"[..]);
        assert_eq!(by("gzip", Vec::new()), b""[..]);
    }
}
