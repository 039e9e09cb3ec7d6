//! Where a patch ends, by the counts of its hunks.

/// The end of the patch that starts at the head of `text`, in bytes: its last hunk or header line.
/// What looks like a header inside a hunk is content.
///
/// # Errors
/// If no patch starts there: how far was read, before which none starts either.
pub(super) fn end(text: &str) -> Result<usize, usize> {
    let mut lines = text.split_inclusive('\n').peekable();
    let first = lines.peek().copied().unwrap_or_default();
    if !first.starts_with("diff -") && !first.starts_with("--- ") && !first.starts_with("Index: ") {
        return Err(first.len());
    }
    let (mut at, mut end, mut hunks) = (0, 0, 0);
    // Lines of the hunk still to come, old and new.
    let mut left = (0usize, 0usize);
    let mut old = false;
    while let Some(line) = lines.next() {
        at += line.len();
        if left != (0, 0) {
            let step = match line.as_bytes()[0] {
                b' ' | b'\n' | b'\r' => (1, 1),
                b'-' => (1, 0),
                b'+' => (0, 1),
                b'\\' => (0, 0),
                // Cut short, or no patch.
                _ => return Err(at - line.len()),
            };
            left = (left.0.saturating_sub(step.0), left.1.saturating_sub(step.1));
            end = at;
            continue;
        }
        if let Some(counts) = header(line) {
            (left, end, hunks) = (counts, at, hunks + 1);
            continue;
        }
        let next_is_new = || lines.clone().next().is_some_and(|next| next.starts_with("+++ "));
        match line {
            _ if is_meta(line) => {}
            _ if line.starts_with("--- ") && next_is_new() => old = true,
            _ if old && line.starts_with("+++ ") => old = false,
            _ => break,
        }
        end = at;
    }
    if hunks > 0 { Ok(end) } else { Err(at.max(1)) }
}

/// The counts of `@@ -1,5 +1,7 @@`.
fn header(line: &str) -> Option<(usize, usize)> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => Some(1),
    };
    Some((count(old)?, count(new)?))
}

/// A line between hunks that belongs to a patch.
fn is_meta(line: &str) -> bool {
    const STARTS: &[&str] = &[
        "diff ",
        "index ",
        "old mode ",
        "new mode ",
        "new file mode ",
        "deleted file mode ",
        "similarity index ",
        "dissimilarity index ",
        "rename from ",
        "rename to ",
        "copy from ",
        "copy to ",
        "Binary files ",
        "Index: ",
        "====",
        "\\ No newline",
        "Only in ",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_ends_with_its_counts() {
        let patch = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn main\n a\n--- a/old\n+++ b/new\n\\ No newline at end of file\n";
        assert_eq!(end(patch), Ok(patch.len()));
        assert_eq!(end(&format!("{patch}tail\n--- a/x\n")), Ok(patch.len()));
        let two = patch.repeat(2);
        assert_eq!(end(&two), Ok(two.len()));
        for none in [
            "",
            "--- x\n",
            "--- a\n+++ b\n",
            "diff of opinion\n",
            "--- a\n+++ b\n@@ -1,3 +1,3 @@\nno\n",
            "text",
        ] {
            assert!(end(none).is_err(), "{none}");
        }
    }
}
