//! Whether a conversation lists the retrieval tool.

/// When the retrieval tool is listed.
///
/// ```
/// use headroom_engine::ccr::ToolPresence;
/// assert!(ToolPresence::Auto.lists([("read_file", "")].into_iter()));
/// assert!(!ToolPresence::Auto.lists([("cancel_order", "")].into_iter()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolPresence {
    /// Where the client's own tools can [return bulk](returns_bulk).
    #[default]
    Auto,
    /// Wherever it could be called.
    Always,
    /// Nowhere: exact rewrites only.
    Never,
}

impl ToolPresence {
    /// Whether to list the tool in a conversation whose client lists `tools` (name, description).
    #[must_use]
    pub fn lists<'a>(self, tools: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        match self {
            Self::Auto => returns_bulk(tools),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Whether any of `tools` (name, description) can return enough text to be worth shortening.
///
/// Names decide, word by word; a description is read only where the name says nothing.
///
/// ```
/// use headroom_engine::ccr::returns_bulk;
/// assert!(returns_bulk([("finish", ""), ("ReadFile", "")].into_iter()));
/// assert!(!returns_bulk([("cancel_order", "Cancels an order.")].into_iter()));
/// ```
#[must_use]
pub fn returns_bulk<'a>(mut tools: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    tools.any(|(name, description)| bulk(name, description))
}

/// What a word in a tool's name says about its results. Each table is sorted.
///
/// Words that act rather than look: the result is a receipt, whatever the object.
#[rustfmt::skip]
const ACTS: &[&str] = &[
    "accept", "add", "answer", "apply", "approve", "archive", "ask", "assign", "authenticate", "book",
    "buy", "calc", "calculate", "calculator", "cancel", "change", "click", "close", "comment", "complete",
    "compute", "confirm", "convert", "create", "delete", "disable", "done", "download", "edit", "enable",
    "end", "enter", "exchange", "exit", "final", "finish", "give", "insert", "kill", "login", "logout",
    "make", "mark", "merge", "modify", "move", "multi", "multiedit", "notify", "order", "patch", "pay",
    "place", "plan", "post", "purchase", "push", "put", "react", "refund", "remove", "rename", "replace",
    "reply", "report", "reserve", "reset", "resolve", "return", "save", "say", "schedule", "send", "set",
    "sleep", "start", "stop", "submit", "switch", "think", "thought", "todo", "tool", "transfer", "turn",
    "undo", "update", "upload", "validate", "verify", "wait", "write",
];

/// Words whose results are as long as what they look at. `str` is for `str_replace_editor`, which views.
#[rustfmt::skip]
const BULK: &[&str] = &[
    "agent", "analyze", "api", "audit", "awk", "bash", "browse", "browser", "build", "cat", "cmd", "code",
    "codebase", "command", "compile", "console", "context7", "crawl", "curl", "debug", "diff", "dir",
    "docs", "dump", "editor", "exec", "execute", "explore", "extract", "glob", "grep", "head", "http",
    "inspect", "ipython", "journal", "jupyter", "kubectl", "lint", "log", "logs", "ls", "man", "notebook",
    "powershell", "profile", "psql", "python", "read", "repl", "rg", "ripgrep", "run", "scan", "scrape",
    "script", "sh", "shell", "snapshot", "sourcegraph", "sql", "stdin", "stdout", "str", "subagent",
    "symbols", "tail", "task", "terminal", "test", "tests", "trace", "tree", "view", "web", "webfetch",
    "websearch", "wiki",
];

/// Words that look at many things, or at whatever their object is.
const LOOKS: &[&str] =
    &["fetch", "find", "history", "index", "list", "open", "query", "recall", "retrieve", "search", "show"];

/// Objects of the words above that make the result short: the records of a trade.
#[rustfmt::skip]
const RECORDS: &[&str] = &[
    "account", "accounts", "address", "airport", "airports", "appointment", "appointments", "balance",
    "booking", "bookings", "capability", "car", "cars", "categories", "category", "cities", "city",
    "contact", "contacts", "countries", "country", "currencies", "currency", "customer", "customers",
    "date", "dates", "employee", "flight", "flights", "hotel", "hotels", "id", "ids", "item", "member",
    "menu", "order", "orders", "passenger", "passengers", "payment", "payments", "price", "prices",
    "product", "products", "rate", "rates", "reservation", "reservations", "restaurant", "restaurants",
    "room", "rooms", "slot", "slots", "status", "stock", "store", "stores", "subscription", "ticket",
    "time", "tool", "tools", "train", "trains", "type", "types", "user", "users", "vehicle", "weather",
];

/// Words of a name or description that make even a `get` long.
#[rustfmt::skip]
const LONG: &[&str] = &[
    "article", "articles", "bash", "changes", "chunks", "code", "command", "commands", "comments", "commit",
    "commits", "content", "contents", "csv", "dataframe", "dataset", "diff", "directory", "document",
    "documentation", "documents", "email", "emails", "entries", "events", "file", "files", "folder",
    "history", "html", "issue", "issues", "json", "knowledge", "log", "logs", "markdown", "messages",
    "metrics", "notes", "output", "page", "pages", "paper", "papers", "pdf", "pods", "pr", "pull", "readme",
    "records", "repo", "repositories", "repository", "resources", "results", "rows", "schema", "shell",
    "source", "spans", "spreadsheet", "sql", "stacktrace", "table", "tables", "text", "thread", "threads",
    "traces", "transcript", "url", "web", "webpage", "website", "wiki",
];

fn bulk(name: &str, description: &str) -> bool {
    // What stands before the last `__` names an MCP server, not the tool.
    let name = name.rsplit("__").find(|part| !part.is_empty()).unwrap_or(name);
    let mut looks = false;
    let mut long = false;
    let mut verdict = None;
    let mut first = true;
    words(name, &mut |word| {
        let is = |table: &[&str]| table.binary_search(&word).is_ok();
        if verdict.is_none() {
            if (first || !looks) && is(ACTS) {
                verdict = Some(false);
            } else if is(BULK) {
                verdict = Some(true);
            } else if is(RECORDS) {
                verdict = Some(false);
            }
        }
        looks |= LOOKS.contains(&word);
        long |= is(LONG);
        first = false;
    });
    verdict.unwrap_or_else(|| looks || long || describes(description))
}

/// Whether the first sentence of a description promises long results.
fn describes(description: &str) -> bool {
    let end = description.find(['.', '\n']).unwrap_or(description.len());
    let end = description.floor_char_boundary(end.min(400));
    let mut long = false;
    let mut acts = None;
    words(&description[..end], &mut |word| {
        // "Returns ..." looks, in a description.
        let stem = word.strip_suffix('s').unwrap_or(word);
        let act = *acts.get_or_insert_with(|| stem != "return" && ACTS.binary_search(&stem).is_ok());
        long |= !act && LONG.binary_search(&word).is_ok();
    });
    long
}

/// Calls `each` with the words of `text`, lower case, however they are joined: `snake_case`,
/// `camelCase`, `kebab-case`.
fn words(text: &str, each: &mut dyn FnMut(&str)) {
    let mut word = String::new();
    let mut lower = false;
    for c in text.chars() {
        let boundary = c.is_uppercase() && lower;
        if (boundary || !c.is_alphanumeric()) && !word.is_empty() {
            each(&word);
            word.clear();
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        lower = c.is_lowercase() || c.is_ascii_digit();
    }
    if !word.is_empty() {
        each(&word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        for table in [ACTS, BULK, RECORDS, LONG] {
            assert!(table.is_sorted(), "{:?}", table.windows(2).find(|pair| pair[0] > pair[1]));
        }
    }

    #[test]
    fn known_tools() {
        for (name, description, expected) in [
            // Claude Code
            ("Read", "Reads a file from the local filesystem.", true),
            ("Bash", "Executes a given bash command", true),
            ("Grep", "A powerful search tool built on ripgrep", true),
            ("Glob", "Fast file pattern matching tool", true),
            ("WebFetch", "Fetches content from a specified URL", true),
            ("WebSearch", "Allows Claude to search the web", true),
            ("Task", "Launch a new agent to handle complex tasks", true),
            ("BashOutput", "Retrieves output from a background bash shell", true),
            ("LS", "Lists files and directories", true),
            ("NotebookRead", "", true),
            ("TodoWrite", "Create and manage a structured task list", false),
            ("Edit", "Performs exact string replacements in files.", false),
            ("MultiEdit", "Makes multiple edits to a single file", false),
            ("Write", "Writes a file to the local filesystem.", false),
            ("KillShell", "Kills a running background bash shell", false),
            ("ExitPlanMode", "", false),
            ("AskUserQuestion", "", false),
            // Codex
            ("shell", "Runs a shell command and returns its output.", true),
            ("exec_command", "", true),
            ("apply_patch", "Use the `apply_patch` tool to edit files", false),
            ("update_plan", "Updates the task plan.", false),
            ("list_mcp_resources", "", true),
            // OpenHands, SWE-agent and their like
            ("execute_bash", "Execute a bash command in the terminal.", true),
            ("execute_ipython_cell", "", true),
            ("str_replace_editor", "", true),
            ("str_replace_based_edit_tool", "", true),
            ("browser", "", true),
            ("think", "Use the tool to think about something.", false),
            ("finish", "Signals the completion of the current task", false),
            ("submit", "", false),
            ("find_file", "", true),
            ("open", "", true),
            ("create", "", false),
            ("terminal", "Execute a bash command in the terminal", true),
            ("sourcegraph", "Search code across public GitHub repositories", true),
            // MCP
            ("mcp__github__search_code", "", true),
            ("mcp__github__get_file_contents", "", true),
            ("mcp__github__list_commits", "", true),
            ("mcp__github__create_issue", "", false),
            ("mcp__postgres__query", "", true),
            ("mcp__slack__send_message", "", false),
            ("mcp__puppeteer__screenshot", "Take a screenshot", false),
            ("get-library-docs", "", true),
            ("readFile", "", true),
            // Look-ups and data
            ("execute_sql", "", true),
            ("get_logs", "", true),
            ("fetch", "", true),
            ("http_request", "", true),
            ("run_tests", "", true),
            ("kb_lookup", "Returns the text of a knowledge base article", true),
            ("lookup", "Searches the documents of the archive", true),
            ("get_weather", "Get the current weather for a city.", false),
            ("get_exchange_rate", "Look up the current exchange rate", false),
            ("stock_lookup", "Look up stock price by ticker symbol.", false),
            ("calculate", "Calculate the result of a mathematical expression.", false),
            // Customer service
            ("get_user_details", "Get the details of an user, including their reservations.", false),
            ("get_reservation_details", "Get the details of a reservation.", false),
            ("search_direct_flight", "Search direct flights between two cities", false),
            ("list_all_airports", "List all airports and their cities.", false),
            ("list_all_product_types", "List the name and product id of all product types.", false),
            ("find_user_id_by_email", "Find user id by email.", false),
            ("transfer_to_human_agents", "Transfer the user to a human agent", false),
            ("book_reservation", "Book a reservation.", false),
            ("cancel_pending_order", "Cancel a pending order.", false),
            ("update_reservation_flights", "Update the flight information of a reservation.", false),
            ("send_certificate", "Send a certificate to a user. Be careful!", false),
            ("return_delivered_order_items", "", false),
            ("search_tools", "There are additional tools not yet visible to you.", false),
            ("tool_search_tool_bm25", "", false),
            ("", "", false),
        ] {
            assert_eq!(bulk(name, description), expected, "{name}: {description}");
        }
    }

    #[test]
    fn no_more_than_the_start_of_a_description_is_read() {
        let before = "x ".repeat(199);
        for middle in ["é", "xé"] {
            assert!(!bulk("odd", &format!("{before}{middle} the files")), "{middle}");
        }
    }

    #[test]
    fn one_tool_is_enough_and_presence_decides() {
        let tools = [("finish", ""), ("bash", "")];
        assert!(ToolPresence::Auto.lists(tools.into_iter()));
        assert!(!ToolPresence::Auto.lists([("finish", "")].into_iter()));
        assert!(ToolPresence::Always.lists(std::iter::empty()));
        assert!(!ToolPresence::Never.lists(tools.into_iter()));
    }
}
