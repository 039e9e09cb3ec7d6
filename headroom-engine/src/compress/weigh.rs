//! What a text costs, about: for choosing among lines, where counting each would cost too much.

/// About the tokens of `text`: runs of letters and digits by length, runs of anything else as one.
pub(super) fn weigh(text: &str) -> usize {
    let mut tokens = 0;
    let (mut run, mut kind) = (0usize, 0u8);
    for byte in text.bytes() {
        let this = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => 1,
            b'0'..=b'9' => 2,
            b' ' | b'\t' => 3,
            0x80.. => 4,
            _ => 5,
        };
        if this == kind {
            run += 1;
            continue;
        }
        tokens += run_cost(kind, run);
        (run, kind) = (1, this);
    }
    tokens + run_cost(kind, run)
}

fn run_cost(kind: u8, run: usize) -> usize {
    match (kind, run) {
        (_, 0) | (3, 1) => 0,
        (1, _) => 1 + run / 10,
        (3, _) => 1,
        (4, _) => run.div_ceil(4),
        _ => run.div_ceil(3),
    }
}

#[cfg(test)]
mod tests {
    use super::weigh;
    use crate::tokens::{O200k, TokenCounter};

    #[test]
    fn about_what_the_counter_says() {
        for text in [
            "    def get_queryset(self, request, exclude_parameters=None):",
            "lib/http_aws_sigv4.c-413-    tmp_head = curl_slist_append(head, content_sha256_header);",
            "The quick brown fox jumps over the lazy dog and comes home again.",
            "index 3f9c1a2b7d..4e5f60718a 100644",
        ] {
            let (about, counted) = (weigh(text), O200k.count(text));
            assert!(about * 2 >= counted && about <= counted * 2, "{about} {counted} {text}");
        }
    }
}
