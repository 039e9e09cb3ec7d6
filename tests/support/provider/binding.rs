//! Signed thinking, bound to what it was produced under.
//!
//! A signature is a keyed hash of the thinking and, on models that check the prefix, of the chain
//! before it: model, tools, system prompt and every earlier block. The real signatures are opaque;
//! what they refuse is the same.

use headroom_engine::catalogue::model;
use serde_json::Value;

use super::prefix::{Prefix, blocks};

const KEY: &[u8; 32] = b"the double's own signing key....";

/// Two words, so that a wrong prefix can be told from forged thinking.
pub(super) fn sign(name: &str, thinking: &str, chain: [u8; 32]) -> String {
    let own = word(&[name.as_bytes(), thinking.as_bytes()]);
    let place = if model(name).checks_prefix { chain } else { [0; 32] };
    format!("{own}{}", word(&[own.as_bytes(), &place]))
}

fn word(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(KEY);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

/// Checks every thinking block of a request.
pub(super) fn check(body: &Value, prefix: &Prefix) -> Result<(), String> {
    let name = body["model"].as_str().unwrap_or_default();
    for (at, message) in body["messages"].as_array().into_iter().flatten().enumerate() {
        if message["role"] != "assistant" {
            continue;
        }
        for (index, block) in blocks(&message["content"]).iter().enumerate() {
            if block["type"] != "thinking" {
                continue;
            }
            let place = format!("messages.{at}.content.{index}");
            let Some(signature) = block["signature"].as_str() else {
                return Err(format!("{place}.thinking.signature: Field required"));
            };
            let thinking = block["thinking"].as_str().unwrap_or_default();
            let Some(chain) = prefix.before(at, index) else { continue };
            let expected = sign(name, thinking, chain);
            if signature == expected {
                continue;
            }
            return Err(if signature.get(..64) == expected.get(..64) {
                format!(
                    "{place}: Invalid `signature` in `thinking` block: block is bound to a different conversation"
                )
            } else {
                format!("{place}: Invalid `signature` in `thinking` block")
            });
        }
    }
    Ok(())
}
