//! What one line of a text looks like.

/// The shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Blank,
    /// The opening of a fence: its byte and how often it stands.
    Fence(u8, usize),
    Heading,
    /// A row of a table.
    Row,
    /// An item of a list, indented by so much.
    Item(usize),
    /// Punctuation only.
    Rule,
    Text,
}

pub(super) fn shape(line: &str) -> Shape {
    let text = line.trim_ascii();
    let bytes = text.as_bytes();
    let indent = line.len() - line.trim_ascii_start().len();
    match bytes {
        [] => Shape::Blank,
        [b'`' | b'~', ..] => {
            let byte = bytes[0];
            let length = run(bytes, byte);
            // Backticks in the rest of the line make it code within text.
            if length >= 3 && !(byte == b'`' && bytes[length..].contains(&b'`')) {
                Shape::Fence(byte, length)
            } else if length == bytes.len() {
                Shape::Rule
            } else {
                Shape::Text
            }
        }
        [b'#', ..] => {
            let level = run(bytes, b'#');
            let heading = level <= 6 && indent < 4 && (level == bytes.len() || bytes[level] == b' ');
            if heading { Shape::Heading } else { Shape::Text }
        }
        [b'|', .., b'|'] => Shape::Row,
        [b'+', b'-' | b'=', ..] if bytes.iter().all(|byte| matches!(byte, b'+' | b'-' | b'=')) => Shape::Row,
        _ if is_rule(bytes) => Shape::Rule,
        _ if is_numbered_title(text) => Shape::Heading,
        _ if is_item(bytes) => Shape::Item(indent),
        _ => Shape::Text,
    }
}

/// Whether `line` closes a fence of at least `length` times `byte`.
pub(super) fn closes(line: &str, byte: u8, length: usize) -> bool {
    let bytes = line.trim_ascii().as_bytes();
    bytes.len() >= length && bytes.iter().all(|other| *other == byte)
}

/// How often `byte` stands at the start.
fn run(bytes: &[u8], byte: u8) -> usize {
    bytes.iter().take_while(|other| **other == byte).count()
}

fn is_rule(bytes: &[u8]) -> bool {
    bytes.len() >= 3
        && bytes.iter().all(|byte| byte.is_ascii_punctuation() || *byte == b' ')
        && bytes[0] == bytes[bytes.len() - 1]
}

/// `[1] Title`, `--- chunk 1 ---`, `=== Title ===`: what stands above each of several texts.
fn is_numbered_title(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [b'[', digit, ..] if digit.is_ascii_digit() => {
            let digits = bytes[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits <= 3 && bytes[1 + digits..].starts_with(b"] ") && bytes.len() < 300
        }
        [byte @ (b'-' | b'=' | b'*' | b'#'), ..] => {
            let open = run(bytes, *byte);
            let close = bytes.iter().rev().take_while(|other| *other == byte).count();
            open >= 2 && close >= 2 && open + close < bytes.len() && bytes[open] == b' ' && bytes.len() < 200
        }
        _ => false,
    }
}

fn is_item(bytes: &[u8]) -> bool {
    match bytes {
        [b'-' | b'*' | b'+', b' ' | b'\t', ..] | [0xe2, 0x80, 0xa2, ..] => true,
        [b'(', letter, b')', b' ', ..] => letter.is_ascii_alphanumeric(),
        [first, ..] if first.is_ascii_digit() => {
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits <= 3 && matches!(bytes[digits..], [b'.' | b')', b' ', ..])
        }
        _ => false,
    }
}

/// Whether `line` can be a title: short, with a letter, no sentence.
pub(super) fn is_title(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty()
        && text.len() <= 120
        && text.contains(char::is_alphanumeric)
        && !text.ends_with([',', ';'])
}

/// Whether a line that stands alone is a title by its looks: capitals, or bold.
pub(super) fn is_loud(line: &str) -> bool {
    let text = line.trim();
    if text.len() <= 100 && text.starts_with("**") && text.ends_with("**") && text.len() > 4 {
        return true;
    }
    let mut letters = 0;
    for char in text.chars() {
        if char.is_lowercase() {
            return false;
        }
        letters += usize::from(char.is_uppercase());
    }
    letters >= 4
}

/// Whether `below` underlines the title `line`.
pub(super) fn underlines(line: &str, below: &str) -> bool {
    let rule = below.trim_ascii_end().as_bytes();
    let long = line.trim_ascii_end().chars().count();
    is_title(line)
        && rule.len() >= 3
        && rule.len() + 2 >= long
        && rule.iter().all(|byte| *byte == rule[0])
        && matches!(rule[0], b'=' | b'-' | b'~' | b'^' | b'"' | b'*' | b'+' | b'\'' | b'`' | b'#')
}

/// Whether lines of a paragraph break where they are full, not where a sentence ends.
pub(super) fn is_wrapped<'a>(lines: &(impl Iterator<Item = &'a str> + Clone)) -> bool {
    let widths = || lines.clone().map(|line| line.trim_end().chars().count());
    let widest = widths().max().unwrap_or(0);
    let (mut count, mut full) = (0, 0);
    for width in widths() {
        count += 1;
        full += usize::from(width * 3 >= widest * 2);
    }
    count > 1 && (40..=140).contains(&widest) && (full + 1) * 4 >= count * 3
}

/// Whether most lines look like code: they end or begin as code does, or are mostly signs.
pub(super) fn is_code<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let (mut all, mut code) = (0, 0);
    for line in lines {
        all += 1;
        code += usize::from(is_code_line(line));
    }
    code * 2 > all
}

const OPENERS: &[&str] = &[
    "import ",
    "from ",
    "def ",
    "class ",
    "return",
    "if (",
    "for (",
    "while (",
    "else",
    "public ",
    "private ",
    "protected ",
    "static ",
    "const ",
    "let ",
    "var ",
    "fn ",
    "func ",
    "pub ",
    "use ",
    "impl ",
    "struct ",
    "enum ",
    "package ",
    "#include",
    "#[",
    "@",
    "//",
    "/*",
    "* @",
    "*/",
    "}",
    "{",
    ")",
    "]",
    "<",
    "</",
    "$ ",
    ">>> ",
    "... ",
    "async ",
    "await ",
    "export ",
    "type ",
    "raise ",
    "try:",
    "except",
    "with ",
    "assert ",
];

/// Whether one line looks like code.
pub(super) fn is_code_line(line: &str) -> bool {
    let text = line.trim_ascii();
    let bytes = text.as_bytes();
    let Some(last) = bytes.last() else { return false };
    if matches!(last, b';' | b'{' | b'}' | b'\\') || text.ends_with("),") || text.ends_with("],") {
        return true;
    }
    let signs = bytes
        .iter()
        .filter(|byte| {
            matches!(
                byte,
                b'=' | b'('
                    | b')'
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b'<'
                    | b'>'
                    | b'_'
                    | b'"'
                    | b'|'
                    | b'+'
                    | b'\\'
                    | b'/'
            )
        })
        .count();
    let spaces = memchr::memchr_iter(b' ', bytes).count();
    let sentence = matches!(last, b'.' | b'!' | b'?') && spaces >= 4;
    if sentence {
        return signs * 5 > bytes.len();
    }
    let opens = OPENERS.iter().any(|opener| text.starts_with(opener));
    (opens && signs > 0 && signs * 4 >= spaces) || signs * 8 > bytes.len() && signs >= spaces
}
