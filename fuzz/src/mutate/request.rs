//! Requests to `serve`: a line `METHOD PATH`, lines of headers, an empty line, and the body.

use super::{bytes, chance, json, one_of, text};
use fastrand::Rng;

/// The body changes as its kind is built, or the lines before it.
pub fn request(rng: &mut Rng, request: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let Some(end) = request.windows(2).position(|two| two == b"\n\n") else {
        return bytes(rng, request, others);
    };
    let (head, body) = (&request[..end], &request[end + 2..]);
    let (mut head, mut body) = (head.to_vec(), body.to_vec());
    if chance(rng, 25) {
        head = match rng.bool() {
            true => text(rng, &head, &[]),
            // the head of another request
            false => one_of(rng, others)
                .map(|other| other[..other.windows(2).position(|two| two == b"\n\n").unwrap_or(0)].to_vec())
                .unwrap_or(head),
        };
    }
    body = match body.first() {
        Some(b'{' | b'[') if !chance(rng, 10) => json(rng, &body, &[]),
        _ => bytes(rng, &body, others),
    };
    [head, b"\n\n".to_vec(), body].concat()
}
