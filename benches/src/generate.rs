//! Agent conversations of any size, the same on every run: logs, JSON and code, as tools return them.

use serde_json::{Value, json};

/// A small linear congruential generator (Knuth's MMIX constants).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len() as u64) as usize]
    }
}

const WORDS: [&str; 12] = [
    "cache", "router", "session", "worker", "index", "token", "upload", "parser", "shard", "lease", "quota",
    "probe",
];

/// The output of a tool, about `bytes` long.
pub(crate) fn output(dice: &mut Dice, bytes: usize) -> String {
    match dice.roll(3) {
        0 => log(dice, bytes),
        1 => rows(dice, bytes),
        _ => code(dice, bytes),
    }
}

fn log(dice: &mut Dice, bytes: usize) -> String {
    let mut out = String::new();
    let mut millis = dice.roll(86_000_000);
    while out.len() < bytes {
        millis += dice.roll(900);
        let (level, word, other) =
            (dice.of(&["INFO", "INFO", "INFO", "DEBUG", "WARN"]), dice.of(&WORDS), dice.of(&WORDS));
        let (minutes, seconds) = (millis / 60_000 % 60, millis / 1000 % 60);
        out += &format!(
            "2026-11-22T{:02}:{minutes:02}:{seconds:02}.{:03}Z {level} {word}::{other} request {} took {} ms\n",
            millis / 3_600_000 % 24,
            millis % 1000,
            dice.roll(1 << 31),
            dice.roll(400),
        );
    }
    out
}

fn rows(dice: &mut Dice, bytes: usize) -> String {
    let mut rows: Vec<Value> = Vec::new();
    let mut size = 0;
    while size < bytes {
        let row = json!({
            "id": dice.roll(1 << 31),
            "name": format!("{}-{}", dice.of(&WORDS), dice.of(&WORDS)),
            "status": dice.of(&["ok", "ok", "ok", "pending"]),
            "latency_ms": dice.roll(4000) as f64 / 10.0,
            "region": dice.of(&["eu-west-1", "us-east-2"]),
        });
        size += row.to_string().len() + 1;
        rows.push(row);
    }
    Value::from(rows).to_string()
}

fn code(dice: &mut Dice, bytes: usize) -> String {
    let mut out = String::new();
    let mut line = 1;
    while out.len() < bytes {
        let (name, field, limit) = (dice.of(&WORDS), dice.of(&WORDS), dice.roll(9000));
        for text in [
            format!("fn {name}_{limit}(input: &str) -> Option<usize> {{"),
            format!("    let {field} = input.find(\"{name}\")? + {limit};"),
            format!("    ({field} < input.len()).then_some({field})"),
            "}".to_owned(),
            String::new(),
        ] {
            out += &format!("{line:6}\t{text}\n");
            line += 1;
        }
    }
    out
}

/// A call and its result, as the two messages that an agent adds in one turn.
pub(crate) fn turn(number: usize, result: &str) -> [Value; 2] {
    let id = format!("toolu_{number:06}");
    [
        json!({"role": "assistant", "content": [
            {"type": "text", "text": format!("Next I read part {number}.")},
            {"type": "tool_use", "id": id, "name": "read_file", "input": {"path": format!("src/part_{number}.txt")}},
        ]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": result}]}),
    ]
}

/// An Anthropic body of about `bytes`.
pub(crate) fn conversation(bytes: usize) -> String {
    let mut dice = Dice::new(bytes as u64);
    let mut messages =
        vec![json!({"role": "user", "content": "Find out why uploads are slow since this morning."})];
    let mut size = 600;
    for number in 0.. {
        if size + 300 > bytes {
            break;
        }
        let wanted = (1000 + dice.roll(6000) as usize).min(bytes - size);
        let turn = turn(number, &output(&mut dice, wanted));
        size += turn.iter().map(|message| message.to_string().len() + 1).sum::<usize>();
        messages.extend(turn);
    }
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "system": "You are a careful engineer. Use the tools to find the cause, then say what to change.",
        "tools": [{"name": "read_file", "description": "Reads a file.", "input_schema": schema}],
        "messages": messages,
    })
    .to_string()
}

/// `body` with the messages of one more turn.
pub(crate) fn extended(body: &str, number: usize, result: &str) -> Option<String> {
    let read = crate::wire::Body::read(body, crate::wire::Dialect::Anthropic)?;
    let end = read.messages.last()?.span.end;
    let [call, answer] = turn(number, result);
    Some(format!("{},{call},{answer}{}", &body[..end], &body[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversations_have_their_size_and_are_the_same_every_time() {
        for kb in [16, 64, 200] {
            let body = conversation(kb << 10);
            assert!((kb * 900..kb * 1150).contains(&body.len()), "{kb} KB became {}", body.len());
            assert_eq!(body, conversation(kb << 10));
        }
    }

    #[test]
    fn one_more_turn_leaves_the_rest_as_it_was() {
        let body = conversation(16 << 10);
        let longer = extended(&body, 999, "new").unwrap();
        assert!(serde_json::from_str::<Value>(&longer).is_ok());
        let same = body.bytes().zip(longer.bytes()).take_while(|(a, b)| a == b).count();
        assert!(longer[same..].contains("toolu_000999"));
    }
}
