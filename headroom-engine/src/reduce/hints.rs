/// What the call that a block answers says of its content. Content may overrule all of it.
///
/// ```
/// use headroom_engine::reduce::Hints;
/// let hints = Hints::default().command("cd src && sed -n '1,80p' net/frame.rs | cat -A");
/// assert_eq!(hints.extension(), Some("rs"));
/// assert_eq!(Hints::default().path("Makefile").extension(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    path: Option<&'a str>,
    command: Option<&'a str>,
    media_type: Option<&'a str>,
    language: Option<&'a str>,
}

/// Commands that print the file they name.
const READERS: &[&str] = &["cat", "bat", "head", "tail", "sed", "nl", "less", "more", "type", "awk"];

impl<'a> Hints<'a> {
    /// The file that was read.
    #[must_use]
    pub fn path(mut self, path: &'a str) -> Self {
        self.path = Some(path);
        self
    }

    /// The command line that was run.
    #[must_use]
    pub fn command(mut self, command: &'a str) -> Self {
        self.command = Some(command);
        self
    }

    /// The declared media type.
    #[must_use]
    pub fn media_type(mut self, media_type: &'a str) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// The language that a fenced block names, or its extension.
    #[must_use]
    pub fn language(mut self, language: &'a str) -> Self {
        self.language = Some(language);
        self
    }

    /// The command line that was run, if one was.
    #[must_use]
    pub fn command_line(&self) -> Option<&'a str> {
        self.command
    }

    /// The declared media type, if there is one.
    #[must_use]
    pub fn declared(&self) -> Option<&'a str> {
        self.media_type
    }

    /// The file that was read: named by the call, or by the command line of a reader such as `cat`.
    #[must_use]
    pub fn file(&self) -> Option<&'a str> {
        self.path.or_else(|| read_by(self.command?))
    }

    /// The extension of the file that was read, as written, or that of the language that is named.
    #[must_use]
    pub fn extension(&self) -> Option<&'a str> {
        if let Some(language) = self.language {
            return Some(extension_of(language));
        }
        let name = self.file()?.rsplit(['/', '\\']).next()?;
        let (stem, extension) = name.rsplit_once('.')?;
        (!stem.is_empty() && !extension.is_empty()).then_some(extension)
    }
}

/// The usual extension of a language's files; names that are extensions are their own.
fn extension_of(language: &str) -> &str {
    const NAMES: &[(&str, &str)] = &[
        ("python", "py"),
        ("python3", "py"),
        ("javascript", "js"),
        ("typescript", "ts"),
        ("golang", "go"),
        ("rust", "rs"),
        ("c++", "cpp"),
        ("csharp", "cs"),
        ("ruby", "rb"),
        ("kotlin", "kt"),
        ("shell", "sh"),
        ("console", "sh"),
        ("markdown", "md"),
        ("text", "txt"),
        ("jsonc", "json"),
    ];
    let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(language));
    known.map_or(language, |(_, extension)| extension)
}

/// The last file that the first reader of a command line names.
fn read_by(command: &str) -> Option<&str> {
    command.split(['\n', ';', '&', '|']).find_map(|simple| {
        let mut words = simple.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let program = words.next()?.rsplit('/').next()?;
        let file = |word: &&str| !word.starts_with('-') && word.contains(['.', '/']) && !word.contains(',');
        READERS.contains(&program).then(|| words.rfind(file)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_an_extension() {
        for (language, extension) in [("C++", "cpp"), ("python", "py"), ("rs", "rs")] {
            assert_eq!(Hints::default().language(language).extension(), Some(extension));
        }
    }

    #[test]
    fn readers_name_their_file() {
        for (command, file) in [
            ("cat /testbed/a/b.py", Some("/testbed/a/b.py")),
            ("cd /x && sed -n '10,20p' \"b.rs\"", Some("b.rs")),
            ("head -n 5 a.c | grep -n x y.h", Some("a.c")),
            ("grep -rn main src/", None),
            ("", None),
        ] {
            assert_eq!(Hints::default().command(command).file(), file, "{command}");
        }
    }
}
