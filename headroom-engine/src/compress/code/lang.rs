//! The languages: how files of each are called, how they look, and what their grammars call things.

use std::sync::OnceLock;

use tree_sitter::Language as Grammar;

/// A language with a grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Go,
    Rust,
    Java,
    C,
    Cpp,
}

/// What a node is to us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Other,
    /// Has a body that may be left out.
    Function,
    /// Holds declarations: a class, an interface, an `impl`, a namespace.
    Type,
    /// A Rust `mod`: left out as a whole if it holds tests.
    Module,
    /// A list of statements or declarations.
    Block,
    /// Between a list of statements and what it declares: `export`, decorators, `const f =`.
    Wrapper,
    Attribute,
    Comment,
    Import,
    /// A list, a table, an object.
    Literal,
    Text,
}

impl Language {
    /// By a file's extension.
    pub(super) fn of_extension(extension: &str) -> Option<Self> {
        let mut lower = [0; 4];
        let lower = lower.get_mut(..extension.len())?;
        lower.copy_from_slice(extension.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"py" | b"pyi" | b"pyx" => Self::Python,
            b"js" | b"jsx" | b"mjs" | b"cjs" => Self::JavaScript,
            b"ts" | b"mts" | b"cts" => Self::TypeScript,
            b"tsx" => Self::Tsx,
            b"go" => Self::Go,
            b"rs" => Self::Rust,
            b"java" => Self::Java,
            b"c" => Self::C,
            b"h" | b"cc" | b"cpp" | b"cxx" | b"hpp" | b"hh" | b"hxx" | b"inl" => Self::Cpp,
            _ => return None,
        })
    }

    /// What begins a comment that ends with its line.
    pub(super) fn comment(self) -> &'static str {
        if self == Self::Python { "# " } else { "// " }
    }

    pub(super) fn grammar(self) -> Grammar {
        match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
            Self::C => tree_sitter_c::LANGUAGE.into(),
            Self::Cpp => tree_sitter_cpp::LANGUAGE.into(),
        }
    }
}

/// The role of every kind of node of the language's grammar, by its id.
pub(super) fn roles(language: Language) -> &'static [Role] {
    static ROLES: [OnceLock<Vec<Role>>; Language::Cpp as usize + 1] =
        [const { OnceLock::new() }; Language::Cpp as usize + 1];
    ROLES[language as usize].get_or_init(|| {
        let grammar = language.grammar();
        let kinds = u16::try_from(grammar.node_kind_count()).unwrap_or(u16::MAX);
        (0..kinds)
            .map(|kind| {
                let named = grammar.node_kind_is_named(kind);
                grammar.node_kind_for_id(kind).filter(|_| named).map_or(Role::Other, role)
            })
            .collect()
    })
}

/// The grammars' names, all in one: what two grammars call the same means the same.
fn role(kind: &str) -> Role {
    match kind {
        "function_definition"
        | "function_declaration"
        | "generator_function_declaration"
        | "function_expression"
        | "generator_function"
        | "arrow_function"
        | "method_definition"
        | "method_declaration"
        | "constructor_declaration"
        | "compact_constructor_declaration"
        | "function_item"
        | "func_literal"
        | "lambda_expression"
        | "static_initializer" => Role::Function,
        "class_definition"
        | "class_declaration"
        | "abstract_class_declaration"
        | "class"
        | "interface_declaration"
        | "enum_declaration"
        | "record_declaration"
        | "annotation_type_declaration"
        | "internal_module"
        | "module_declaration"
        | "impl_item"
        | "trait_item"
        | "class_specifier"
        | "struct_specifier"
        | "namespace_definition" => Role::Type,
        "mod_item" => Role::Module,
        "program"
        | "module"
        | "source_file"
        | "translation_unit"
        | "block"
        | "statement_block"
        | "statement_list"
        | "class_body"
        | "declaration_list"
        | "field_declaration_list"
        | "constructor_body"
        | "compound_statement"
        | "interface_body"
        | "enum_body"
        | "enum_body_declarations"
        | "preproc_if"
        | "preproc_ifdef"
        | "preproc_else" => Role::Block,
        "export_statement"
        | "decorated_definition"
        | "lexical_declaration"
        | "variable_declaration"
        | "variable_declarator"
        | "template_declaration"
        | "linkage_specification"
        | "ambient_declaration"
        | "public_field_definition"
        | "field_definition" => Role::Wrapper,
        "attribute_item" | "decorator" | "marker_annotation" => Role::Attribute,
        "comment" | "line_comment" | "block_comment" => Role::Comment,
        "import_statement"
        | "import_from_statement"
        | "future_import_statement"
        | "import_declaration"
        | "use_declaration"
        | "preproc_include" => Role::Import,
        "array" | "object" | "list" | "dictionary" | "set" | "tuple" | "array_expression"
        | "array_initializer" | "initializer_list" | "literal_value" => Role::Literal,
        "string" | "template_string" | "raw_string_literal" | "string_literal" | "text_block" => Role::Text,
        _ => Role::Other,
    }
}
