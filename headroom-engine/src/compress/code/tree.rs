//! The outline of code by its grammar.

use std::ops::{ControlFlow, Range};

use tree_sitter::{Node, ParseOptions, ParseState, Parser};

use super::{
    lang::{Language, Role, roles},
    outline::{DEEPEST, Item, NONE, Outline, Run, RunKind},
};

/// More bytes are outlined by their indentation.
const LONGEST: usize = 2 << 20;
/// The least lines of a literal that is worth a marker.
const LITERAL: usize = 8;

/// The outline of `code`, which has `lines` lines; `None` if the parser gives it up.
pub(super) fn outline(code: &str, lines: usize, language: Language) -> Option<Outline> {
    if code.len() > LONGEST {
        return None;
    }
    let grammar = language.grammar();
    let mut parser = Parser::new();
    parser.set_language(&grammar).ok()?;
    // The parser reports every hundred steps: an amount of work, not of time. Code takes about one
    // step a byte, at most 1.2 in a corpus of 142 files; what takes more is hardly code, all the
    // more where it makes no sense of it.
    let most = 64 + code.len() / 40;
    let mut reports = 0;
    let mut count = |state: &ParseState| {
        reports += 1;
        let lost = state.has_error() && reports > 16 + state.current_byte_offset() / 80;
        if reports > most || lost { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut count);
    let bytes = code.as_bytes();
    let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
    let tree = parser.parse_with_options(&mut read, None, Some(options))?;
    let walk = Walk {
        code,
        roles: roles(language),
        body: grammar.field_id_for_name("body").map(std::num::NonZero::get),
        python: language == Language::Python,
        outline: Outline::new(lines),
        path: Vec::new(),
        within: Vec::new(),
    };
    Some(walk.run(tree.root_node()))
}

struct Walk<'a> {
    code: &'a str,
    roles: &'static [Role],
    body: Option<u16>,
    python: bool,
    outline: Outline,
    /// Roles and first lines from the root to the node.
    path: Vec<(Role, usize)>,
    /// Items around the node, with their depth.
    within: Vec<(u32, usize)>,
}

impl Walk<'_> {
    fn run(mut self, root: Node<'_>) -> Outline {
        let mut cursor = root.walk();
        loop {
            let node = cursor.node();
            let role = self.roles.get(node.kind_id() as usize).copied().unwrap_or_default();
            self.outline.errors += usize::from(node.is_error() || node.is_missing());
            let descend = self.enter(node, role) && !self.is_plain(node, role);
            if descend && cursor.goto_first_child() {
                self.path.push((role, node.start_position().row));
                continue;
            }
            self.leave();
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return self.outline;
                }
                self.path.pop();
                self.leave();
            }
        }
    }

    /// Whether nothing inside can matter: no error, and, within one line and without what opens a
    /// block, no item, import or long text. Most nodes are in such expressions.
    fn is_plain(&self, node: Node<'_>, role: Role) -> bool {
        if role != Role::Other || node.start_position().row != node.end_position().row || node.has_error() {
            return false;
        }
        let text = &self.code.as_bytes()[node.byte_range()];
        let opens = if self.python { b':' } else { b'{' };
        memchr::memchr(opens, text).is_none() && memchr::memmem::find(text, b"import").is_none()
    }

    /// The node at the path's end is done.
    fn leave(&mut self) {
        while self.within.last().is_some_and(|(_, depth)| *depth >= self.path.len()) {
            self.within.pop();
        }
    }

    /// Whether to look inside.
    fn enter(&mut self, node: Node<'_>, role: Role) -> bool {
        match role {
            Role::Function => self.function(node),
            Role::Type => self.pin(node),
            Role::Module => return self.module(node),
            Role::Attribute => self.attribute(node),
            Role::Comment => {
                self.comment(node);
                return false;
            }
            Role::Import => {
                let lines = rows(node);
                self.run_of(RunKind::Imports, lines, true);
                return false;
            }
            Role::Literal => {
                let lines = inside(node);
                if lines.len() >= LITERAL {
                    self.run_of(RunKind::Literal, lines, true);
                }
            }
            Role::Text => {
                self.text(node);
                return false;
            }
            Role::Other | Role::Block | Role::Wrapper => {}
        }
        true
    }

    fn body<'t>(&self, node: Node<'t>) -> Option<Node<'t>> {
        node.child_by_field_id(self.body?)
    }

    /// Where the statement that declares the node begins; and whether it is one.
    fn statement(&self, node: Node<'_>) -> (usize, bool) {
        let mut first = node.start_position().row;
        for (role, row) in self.path.iter().rev() {
            match role {
                Role::Wrapper => first = *row,
                Role::Block => return (first, true),
                _ => return (first, false),
            }
        }
        (first, true)
    }

    fn function(&mut self, node: Node<'_>) {
        let Some(body) = self.body(node) else { return };
        let (head, is_statement) = self.statement(node);
        let parent = self.within.last().map_or(NONE, |(item, _)| *item);
        let loose = parent != NONE && (!is_statement || self.outline.items[parent as usize].loose);
        let all = rows(body);
        let (lines, ends) = if self.python {
            let doc = docstring(body).map_or(0, |doc| rows(doc).end);
            let start = all.start.max(node.start_position().row + 1).max(doc);
            (start..all.end.max(start), false)
        } else if body.child(0).is_some_and(|first| first.kind() == "{") {
            (all.start + 1..all.end.saturating_sub(1), true)
        } else {
            return;
        };
        if lines.is_empty() || self.within.len() >= DEEPEST {
            if !loose {
                self.pin(node);
            }
            return;
        }
        let name = self.name(node);
        let text = &self.code[name.clone()];
        let test = text.starts_with("test_") || text.starts_with("Test");
        let item = Item { name, body: lines, parent, loose, test };
        let id = self.outline.add(head, ends, item);
        self.within.push((id, self.path.len()));
    }

    fn name(&self, node: Node<'_>) -> Range<usize> {
        let mut at = node;
        for _ in 0..DEEPEST {
            if let Some(name) = at.child_by_field_name("name") {
                return name.byte_range();
            }
            match at.child_by_field_name("declarator") {
                Some(inner) => at = inner,
                None => break,
            }
        }
        if at != node {
            return at.byte_range();
        }
        let named = node.parent().and_then(|parent| {
            parent.child_by_field_name("name").or_else(|| parent.child_by_field_name("key"))
        });
        named.map_or(0..0, |name| name.byte_range())
    }

    /// Keeps the head and the end of a declaration in what is left out around it.
    fn pin(&mut self, node: Node<'_>) {
        let (head, is_statement) = self.statement(node);
        let parent = self.within.last().map(|(item, _)| &self.outline.items[*item as usize]);
        if parent.is_none_or(|parent| parent.loose) || !is_statement {
            return;
        }
        let Some(body) = self.body(node) else { return };
        let lines = rows(body);
        let to = if self.python { lines.start.max(head + 1) } else { lines.start + 1 };
        self.outline.pinned[head..to].fill(true);
        if !self.python && lines.end > to {
            self.outline.pinned[lines.end - 1] = true;
        }
    }

    /// Attributes stay with their item.
    fn attribute(&mut self, node: Node<'_>) {
        let parent = self.within.last().map(|(item, _)| &self.outline.items[*item as usize]);
        if parent.is_some_and(|parent| !parent.loose) && self.statement(node).1 {
            self.outline.pinned[rows(node)].fill(true);
        }
    }

    /// Tests are left out as a whole.
    fn module(&mut self, node: Node<'_>) -> bool {
        let name = node.child_by_field_name("name").map_or("", |name| &self.code[name.byte_range()]);
        let lines = inside(node);
        let tests = matches!(name, "tests" | "test") && self.within.is_empty() && !lines.is_empty();
        if tests {
            self.outline.runs.push(Run { kind: RunKind::Tests, lines, code: true });
        }
        !tests
    }

    fn comment(&mut self, node: Node<'_>) {
        let lines = rows(node);
        let text = &self.code[node.byte_range()];
        if text.starts_with("/*") {
            self.prune(node, lines, text);
        } else if self.starts_line(node) {
            // The first line of a run stays, and what a compiler may read.
            let alone = lines.len() == 1;
            let special = text.starts_with("#!") || text.starts_with("//go:") || text.starts_with("///<");
            match self.outline.runs.last_mut() {
                Some(run)
                    if run.kind == RunKind::Comment
                        && run.code
                        && run.lines.end == lines.start
                        && alone
                        && !special =>
                {
                    run.lines.end = lines.end;
                }
                _ if special => {}
                _ => self.outline.runs.push(Run {
                    kind: RunKind::Comment,
                    lines: lines.end..lines.end,
                    code: true,
                }),
            }
        }
    }

    /// The lines of a text between delimiters, but for the first with words in it, and the last.
    fn prune(&mut self, node: Node<'_>, lines: Range<usize>, text: &str) {
        if lines.len() < 4 || !self.starts_line(node) {
            return;
        }
        let words = |line: &str| line.bytes().any(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80);
        let first = text.lines().position(words).unwrap_or(0).min(2);
        let lines = lines.start + first + 1..lines.end - 1;
        if !lines.is_empty() {
            self.outline.runs.push(Run { kind: RunKind::Comment, lines, code: false });
        }
    }

    fn text(&mut self, node: Node<'_>) {
        let lines = rows(node);
        if lines.len() < 4 {
            return;
        }
        let text = &self.code[node.byte_range()];
        if self.python
            && self.starts_line(node)
            && self.path.last().is_some_and(|(role, _)| *role == Role::Other)
        {
            self.prune(node, lines, text);
        } else if lines.len() > LITERAL && !text.contains("${") {
            let lines = lines.start + 1..lines.end - 1;
            self.outline.runs.push(Run { kind: RunKind::Literal, lines, code: false });
        }
    }

    fn run_of(&mut self, kind: RunKind, lines: Range<usize>, code: bool) {
        match self.outline.runs.last_mut() {
            Some(run) if run.kind == kind && kind == RunKind::Imports && lines.start <= run.lines.end + 1 => {
                run.lines.end = run.lines.end.max(lines.end);
            }
            _ => self.outline.runs.push(Run { kind, lines, code }),
        }
    }

    fn starts_line(&self, node: Node<'_>) -> bool {
        let at = node.start_byte();
        let from = at - node.start_position().column;
        self.code[from..at].trim_ascii().is_empty()
    }
}

/// The text that a Python suite begins with.
fn docstring(suite: Node<'_>) -> Option<Node<'_>> {
    let first = suite.named_child(0).filter(|first| first.kind() == "expression_statement")?;
    first.named_child(0).filter(|text| text.kind() == "string")
}

/// The lines of a node.
fn rows(node: Node<'_>) -> Range<usize> {
    let (start, end) = (node.start_position(), node.end_position());
    start.row..end.row + usize::from(end.column > 0 || end.row == start.row)
}

/// The lines between the first and the last of a node.
fn inside(node: Node<'_>) -> Range<usize> {
    let rows = rows(node);
    let start = node.child_by_field_name("body").map_or(rows.start, |body| body.start_position().row);
    start + 1..rows.end.saturating_sub(1).max(start + 1)
}
