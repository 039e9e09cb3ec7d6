//! The keys of the memo: everything that decides what becomes of a block.

use std::sync::{Arc, OnceLock};

use crate::{catalogue::Model, eligible::Candidate, engine::Inner, memo::Key, policy::Policy, price::Stakes};

/// What of a request may be rewritten, and the keys of that as they were asked for last.
pub(crate) struct Candidates {
    all: Vec<Arc<Candidate>>,
    keyed: OnceLock<Keyed>,
}

/// Keys, and what decides of all of them.
struct Keyed {
    request: Key,
    refers: bool,
    keys: Arc<[Key]>,
}

impl Candidates {
    pub(crate) fn new(all: Vec<Arc<Candidate>>) -> Self {
        Self { all, keyed: OnceLock::new() }
    }

    pub(crate) fn all(&self) -> &[Arc<Candidate>] {
        &self.all
    }

    /// To change them: they have other keys then.
    pub(crate) fn change(&mut self) -> &mut [Arc<Candidate>] {
        self.keyed.take();
        &mut self.all
    }

    /// The key of each; one may point at those before it if it `refers`.
    pub(super) fn keys(&self, request: Key, may_hide: bool, refers: bool) -> Arc<[Key]> {
        let known = self.keyed.get().filter(|it| it.request == request && it.refers == refers);
        if let Some(known) = known {
            return Arc::clone(&known.keys);
        }
        let mut before = [0; 32];
        let keys = self.all.iter().map(|candidate| {
            before = of_block(&request, candidate, may_hide, refers.then_some(&before));
            before
        });
        let keys: Arc<[Key]> = keys.collect();
        let _ = self.keyed.set(Keyed { request, refers, keys: Arc::clone(&keys) });
        keys
    }
}

/// What decides, of a request as a whole, what becomes of its blocks.
pub(super) fn of_request(engine: &Inner, policy: &Policy, model: &Model, may_hide: bool) -> Key {
    let mut hasher = blake3::Hasher::new_keyed(engine.key.bytes());
    hasher.update(&policy.epoch(&engine.facts)).update(&[u8::from(may_hide)]);
    if may_hide {
        hasher.update(&Stakes::prices(model));
    }
    *hasher.finalize().as_bytes()
}

/// What decides of a block; `before` is the key of the block before it, where that may be pointed at.
/// Asked of every block on every turn: two blocks of the hash at most.
fn of_block(request: &Key, candidate: &Candidate, may_hide: bool, before: Option<&Key>) -> Key {
    let mut bytes = [0; 3 * 32 + 2 * 8 + 1];
    bytes[..32].copy_from_slice(&candidate.own);
    // What hiding is worth depends on what stands before it.
    bytes[32] = if may_hide { candidate.prefix.power() } else { 0 };
    let Some(before) = before else { return *blake3::keyed_hash(request, &bytes[..33]).as_bytes() };
    bytes[33..65].copy_from_slice(before);
    bytes[65..97].copy_from_slice(&candidate.written);
    bytes[97..105].copy_from_slice(&(candidate.place.number as u64).to_le_bytes());
    bytes[105..].copy_from_slice(&(candidate.place.part.unwrap_or(0) as u64).to_le_bytes());
    *blake3::keyed_hash(request, &bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Engine, RequestContext, align::Dynamic, catalogue, ccr::HandleKey, price::Size, walk::Walk, wire,
        wire::Dialect,
    };

    fn candidate() -> Candidate {
        let body = r#"{"messages":[{"role":"tool","tool_call_id":"c","content":"an output"}]}"#;
        let conversation = wire::read(Dialect::OpenAiChat, body).unwrap();
        let dynamic = Dynamic::find(body, &conversation);
        let walk = Walk::begin(body, &conversation, &dynamic, "m", &HandleKey::default());
        let (candidates, ..) = walk.finish(body, &conversation, &dynamic).into_parts();
        Candidate::clone(&candidates[0])
    }

    /// All keys differ.
    fn assert_distinct(keys: &[Key]) {
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(at), "{at}");
        }
    }

    #[test]
    fn whatever_decides_of_a_block_is_in_its_key() {
        let changes: [fn(&mut Candidate); 10] = [
            |_| (),
            |it| it.digest[0] ^= 1,
            |it| it.query[0] ^= 1,
            |it| it.is_error = true,
            |it| it.media_type = Some("text/html".to_owned()),
            |it| it.media_type = Some("text/plain".to_owned()),
            |it| it.prefix = Size::of_bytes(1 << 20),
            |it| it.written[0] ^= 1,
            |it| it.place.number += 1,
            |it| it.place.part = Some(1),
        ];
        let changed = changes.map(|change| {
            let mut candidate = candidate();
            change(&mut candidate);
            candidate.seal();
            candidate
        });
        let key = |candidate: &Candidate| of_block(&[7; 32], candidate, true, Some(&[1; 32]));
        let mut keys: Vec<Key> = changed.iter().map(key).collect();
        keys.push(of_block(&[8; 32], &changed[0], true, Some(&[1; 32])));
        keys.push(of_block(&[7; 32], &changed[0], true, Some(&[2; 32])));
        assert_distinct(&keys);
    }

    #[test]
    fn what_cannot_decide_is_not() {
        let (one, mut other) = (candidate(), candidate());
        let key = |candidate: &Candidate, may_hide| of_block(&[7; 32], candidate, may_hide, None);
        // Nothing is pointed at.
        (other.written[0], other.place.number) = (1, 9);
        assert_eq!(key(&one, true), key(&other, true));
        // Nothing is hidden.
        other.prefix = Size::of_bytes(1 << 20);
        assert_eq!(key(&one, false), key(&other, false));
        assert_ne!(key(&one, true), key(&other, true));
    }

    /// A part of a result is called so by what points at it, also where a conversation that began
    /// alike had one part there.
    #[test]
    fn the_number_of_parts_is_not_taken_from_elsewhere() {
        let text: String = (0..60).map(|at| format!("{at}: a line about item {}\\n", at * 7919)).collect();
        let result = |id: &str, parts: &[&str]| {
            let parts: Vec<_> =
                parts.iter().map(|part| format!(r#"{{"type":"text","text":"{part}"}}"#)).collect();
            format!(r#"{{"type":"tool_result","tool_use_id":"{id}","content":[{}]}}"#, parts.join(","))
        };
        let call = |id: &str| format!(r#"{{"type":"tool_use","id":"{id}","name":"read","input":{{}}}}"#);
        let body = |results: [String; 2]| {
            format!(
                r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"read"}},{{"role":"assistant","content":[{},{}]}},{{"role":"user","content":[{}]}}]}}"#,
                call("a"),
                call("b"),
                results.join(",")
            )
        };
        let run = |engine: &Engine, body: String| {
            let context = RequestContext::new(Dialect::AnthropicMessages);
            let rewrite = engine.scan(body.into(), &context).unwrap().rewrite(&Policy::default(), &[]);
            String::from_utf8(rewrite.body.to_vec()).unwrap()
        };
        let two = body([result("a", &[&text, &text]), result("b", &["fine"])]);
        let engine = Engine::new();
        run(&engine, body([result("a", &[&text]), result("b", &[&text])]));
        let after = run(&engine, two.clone());
        assert!(after.contains("[=") && after.len() < two.len(), "{after}");
        assert_eq!(after, run(&Engine::new(), two));
    }

    #[test]
    fn whatever_decides_of_a_request_is_in_its_key() {
        let (engine, policy) = (Engine::new(), Policy::default());
        let other = Engine::builder().handle_key(HandleKey::derive(b"another")).build();
        let models = ["claude-opus-4-5", "gpt-4o-mini"].map(catalogue::model);
        let key = |engine: &Engine, policy: &Policy, model: &Model, may_hide| {
            of_request(&engine.0, policy, model, may_hide)
        };
        assert_distinct(&[
            key(&engine, &policy, models[0], true),
            key(&engine, &policy, models[1], true),
            key(&engine, &policy, models[0], false),
            key(&engine, &Policy::exact(), models[0], true),
            key(&other, &policy, models[0], true),
        ]);
        // Prices decide only where something may be hidden.
        assert_eq!(key(&engine, &policy, models[0], false), key(&engine, &policy, models[1], false));
    }
}
