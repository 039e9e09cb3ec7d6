//! What Kompress promises, over written and generated texts.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::{
    ccr::HandleKey,
    rank::Query,
    reduce::{Accepted, Gate, Refusal},
    tokens::O200k,
};

fn gate(source: &str, reduction: &Reduction) -> Result<Accepted, Refusal> {
    Gate { counter: &O200k, key: &HandleKey::default() }.pass(source, None, "prose", reduction)
}

fn reductions(source: &str, query: &str) -> [Option<Reduction>; 2] {
    let query = Query::new([query]);
    let context = Context {
        query: &query,
        tool: "",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    };
    [Kompress.exact(source, &context), Kompress.elide(source, &context)]
}

fn elided(source: &str, query: &str) -> Accepted {
    let [_, elided] = reductions(source, query);
    gate(source, &elided.unwrap()).unwrap()
}

const TOPICS: [&str; 6] = ["harbour", "granary", "lighthouse", "orchard", "foundry", "archive"];

/// A sentence that no other call returns.
fn sentence(at: usize) -> String {
    let topic = TOPICS[at % 6];
    format!(
        "In year {} the {topic} of district {} was {} by a council that met near the {} road.",
        1500 + at,
        at % 17,
        ["enlarged", "repaired", "painted", "sold", "moved"][at % 5],
        ["northern", "old", "stony", "royal"][at % 4]
    )
}

/// A document of titled sections.
fn document() -> String {
    let mut text =
        "# Chronicle of the coast\n\nThis chronicle was begun by the harbour master.\n\n".to_owned();
    for section in 0..12 {
        let _ = write!(text, "## Section {section}\n\n");
        for paragraph in 0..4 {
            for at in 0..5 {
                let _ = write!(text, "{} ", sentence(section * 20 + paragraph * 5 + at));
            }
            text.push_str("\n\n");
        }
    }
    text
}

#[test]
fn title_first_sentence_and_headings_of_what_is_kept_stay() {
    let source = document();
    let accepted = elided(&source, "what does it say");
    let text = &accepted.rendered.text;
    assert!(accepted.tokens_out * 2 < accepted.tokens_in + accepted.tokens_in / 5);
    assert!(
        text.starts_with("# Chronicle of the coast\n\nThis chronicle was begun by the harbour master.\n")
    );
    let mut heading = false;
    for line in text.lines() {
        heading |= line.starts_with("## ");
        assert!(heading || !line.starts_with("In year"), "{line} has no heading");
    }
}

#[test]
fn sentences_stand_as_they_stood_or_not_at_all() {
    let source = document();
    let text = elided(&source, "lighthouse").rendered.text;
    let mut kept = 0;
    for at in 0..240 {
        let sentence = sentence(at);
        kept += usize::from(text.contains(&sentence));
        assert!(text.contains(&sentence) || !text.contains(&sentence[..20]), "{sentence} is cut in\n{text}");
    }
    assert!(kept > 40, "{kept}");
}

#[test]
fn what_is_asked_for_stays() {
    for at in [7, 63, 128, 201, 239] {
        let source = document();
        let query = format!("What happened in year {}?", 1500 + at);
        let text = elided(&source, &query).rendered.text;
        assert!(text.contains(&sentence(at)), "{query}\n{text}");
    }
}

#[test]
fn what_is_forbidden_stays() {
    let source = document().replace(&sentence(90), "You must never open the sluice except at ebb.");
    assert!(
        elided(&source, "what is it about")
            .rendered
            .text
            .contains("must never open the sluice except at ebb.")
    );
}

#[test]
fn a_fence_stays_or_goes_whole() {
    let fence = "```c++\nint main() {\n\n  return 0;  \n}\n```\n";
    let source = document().replace("## Section 5\n\n", &format!("## Section 5\n\n{fence}\n"));
    for query in ["main return int", "harbour"] {
        let text = elided(&source, query).rendered.text;
        assert!(text.contains(fence) || !text.contains("int main"), "{text}");
    }
    assert!(elided(&source, "main return int").rendered.text.contains(fence));
}

#[test]
fn repeated_paragraphs_are_said_once() {
    let block = "First rule of the house.\nSecond rule, which is much longer than the first one.\nThird rule of the house, about doors and windows.\n";
    let source = format!(
        "{}{block}\nAnd again they read it aloud to everybody.\n{block}\nAt last:\n{block}",
        document()
    );
    let [exact, _] = reductions(&format!("{block}\nThen:\n{block}\nThen:\n{block}\nThen:\n{block}"), "");
    assert!(exact.is_some());
    let [_, Some(reduction)] = reductions(&source, "rule") else { panic!("nothing") };
    let text = gate(&source, &reduction).unwrap().rendered.text;
    assert_eq!(text.matches("Second rule, which").count(), 1, "{text}");
}

#[test]
fn scripts_without_spaces_or_stops_shrink() {
    let chinese: String =
        (0..200).map(|at| format!("这是第{at}句话关于主题{}的内容和背景说明。", at % 7)).collect();
    let japanese: String =
        (0..200).map(|at| format!("これは{at}番目の文で、話題{}について述べています。", at % 7)).collect();
    let thai: String =
        (0..120).map(|at| format!("นี่คือข้อความที่{at} ซึ่งกล่าวถึงหัวข้อสำคัญหลายประการของเมืองท่า ")).collect();
    let arabic: String =
        (0..120).map(|at| format!("هذه الجملة رقم {at} تتحدث عن تاريخ المدينة والميناء القديم. ")).collect();
    for source in [chinese, japanese, thai, arabic] {
        assert!(Kompress.recognises(&source, Hints::default()), "{}", &source[..60]);
        let accepted = elided(&source, "x");
        assert!(accepted.tokens_out * 4 < accepted.tokens_in * 3, "{}", accepted.rendered.text);
    }
}

#[test]
fn other_kinds_are_not_prose() {
    let code: String =
        (0..80).map(|at| format!("    let value_{at} = compute(&input[{at}], offset);\n")).collect();
    let config: String =
        (0..80).map(|at| format!("service.timeout.{at} = {at}\nname_{at}: \"value\"\n")).collect();
    let log: String = (0..80).map(|at| format!("12:00:{:02} INFO worker-{at} done\n", at % 60)).collect();
    let json = format!("{{\"a\": [{}]}}", "1, ".repeat(400));
    let listing: String = (0..80).map(|at| format!("src/module_{at}/file_{at}.py\n")).collect();
    for source in [code, config, log, json, listing, "A short text. It ends.".into(), String::new()] {
        assert!(!Kompress.recognises(&source, Hints::default()), "{source}");
    }
}

#[test]
fn long_odd_inputs_are_read_to_their_end() {
    for source in [
        "word ".repeat(40_000),
        ".".repeat(200_000),
        "\n".repeat(200_000),
        "```\n".repeat(50_001),
        "~~~~~~~~ ~ ".repeat(20_000),
        "a. ".repeat(60_000),
        "\"".repeat(100_000),
        format!("{}。", "字".repeat(60_000)),
    ] {
        for reduction in reductions(&source, "a").into_iter().flatten() {
            assert!(!matches!(gate(&source, &reduction), Err(Refusal::Untiled | Refusal::Undecodable)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_decodes(pieces in prop::collection::vec(prop::sample::select(vec![
        "The harbour was built in 1503, and it must not be moved. ", "A line.\n", "# Title\n", "\n", "- item one\n",
        "```\nlet x = 1;\n```\n", "[~", "[~~a:]", "~", "| a | b |\n", "    indented code();\n", "字句。", "\r\n",
        "Repeated line of some length here.\n", "Repeated line of some length here.\nAnd what follows it always.\n",
        "Title\n=====\n", " ", "e.g. this one? ", "ภาษาไทย ",
    ]), 0..150), query in "(harbour|line|x)?") {
        let source = pieces.concat();
        for reduction in reductions(&source, &query).into_iter().flatten() {
            let passed = gate(&source, &reduction);
            prop_assert!(!matches!(passed, Err(Refusal::Untiled | Refusal::Undecodable)), "{:?}", source);
        }
    }
}
