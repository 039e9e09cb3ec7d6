//! What the HtmlCompressor promises.

use proptest::prelude::*;

use super::*;
use crate::{
    ccr::HandleKey,
    rank::Query,
    reduce::{Accepted, Gate, Refusal},
    tokens::O200k,
};

fn gate(source: &str, reduction: &Reduction) -> Result<Accepted, Refusal> {
    Gate { counter: &O200k, key: &HandleKey::default() }.pass(source, None, "html", reduction)
}

fn both(source: &str) -> [Option<Reduction>; 2] {
    let query = Query::default();
    let context = Context {
        query: &query,
        tool: "",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    };
    [HtmlCompressor.exact(source, &context), HtmlCompressor.elide(source, &context)]
}

fn page() -> String {
    let script = "var a = function () { return document.title; };".repeat(40);
    let rows: String = (0..40)
        .map(|at| format!("<tr class=\"row striped\">\n  <td class=\"cell name\">part {at}</td>\n  <td class=\"cell price\">{} EUR</td>\n</tr>\n", at * 7))
        .collect();
    format!(
        "<!DOCTYPE html><html><head><title>Parts</title><script>{script}</script><style>p {{ margin: 0 }}</style>\
         <link rel=\"stylesheet\" href=\"/a.css\"></head><body><nav><ul><li><a href=\"/\">Home</a></li></ul></nav>\
         <!-- build 4711 --><h1>Price list</h1><p>Prices are <a href=\"/net\">net prices</a>.</p>\
         <div class=\"cookie-banner\"><div>We value your privacy</div><button>Accept all</button></div>\
         <table>{rows}</table><img src=\"data:image/png;base64,{}\"></body></html>",
        "iVBORw0KGgo".repeat(60)
    )
}

#[test]
fn what_is_read_stays_and_the_rest_goes() {
    let page = page();
    let [exact, elided] = both(&page).map(|reduction| gate(&page, &reduction.unwrap()).unwrap());
    assert!(exact.tokens_out * 10 < exact.tokens_in * 9);
    assert!(elided.tokens_out * 10 < elided.tokens_in * 6, "{}", elided.rendered.text);
    let text = elided.rendered.text;
    for needle in ["Parts", "Price list", "Prices are ", "net prices", "part 39", "273 EUR", "part 0"] {
        assert!(text.contains(needle), "{needle} is not visible in\n{text}");
    }
    for noise in ["document.title", "Accept all", "Home", "iVBORw0KGgoiVBORw0KGgo"] {
        assert!(!text.contains(noise), "{noise} is visible in\n{text}");
    }
}

#[test]
fn deep_and_broken_markup_is_read_to_its_end() {
    for source in [
        "<div>".repeat(100_000),
        "<nav>".repeat(50_000),
        "<a \">\" ".repeat(30_000),
        "<!-- ".repeat(50_000),
        "<script>".repeat(50_000),
        format!("<html>{}", "<p class='x\">".repeat(20_000)),
    ] {
        let parts = parts(&source);
        assert_eq!(parts.last().map(|(range, _)| range.end), Some(source.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_markup_decodes(pieces in prop::collection::vec(prop::sample::select(vec![
        "<p>", "</p>", "<td class=\"a b c d e f\">", "</td>\n  ", "text", "[~", "[", "]", "~", "<!--", "-->", "<script>",
        "</script>", "<nav>", "</nav>", "<", ">", "\"", "é", "\n", "<div class='cookie'>", "</div>", " ",
    ]), 0..120)) {
        let source = pieces.concat().repeat(3);
        for reduction in both(&source).into_iter().flatten() {
            let passed = gate(&source, &reduction);
            prop_assert!(!matches!(passed, Err(Refusal::Untiled | Refusal::Undecodable)), "{:?}", source);
        }
    }
}
