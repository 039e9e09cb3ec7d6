//! What Amazon Bedrock measures of an invocation and tells in headers.

use http::{HeaderMap, HeaderValue};

/// What adds up over the rounds of one answer.
const ADDED: [&str; 2] = ["x-amzn-bedrock-output-token-count", "x-amzn-bedrock-invocation-latency"];

/// The sums so far.
#[derive(Debug, Default)]
pub(super) struct Measured([u64; 2]);

impl Measured {
    /// Adds up a round's, and puts the sums in their place.
    pub(super) fn add(&mut self, headers: &mut HeaderMap) {
        for (sum, name) in self.0.iter_mut().zip(ADDED) {
            let count = headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            let Some(count) = count else { continue };
            let before = *sum;
            *sum = sum.saturating_add(count);
            if before > 0 {
                headers.insert(name, HeaderValue::from(*sum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_add_up() {
        let mut measured = Measured::default();
        let mut round = |output: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ADDED[0], HeaderValue::from_static(output));
            headers.insert("x-amzn-bedrock-input-token-count", HeaderValue::from_static("9"));
            measured.add(&mut headers);
            assert_eq!(headers["x-amzn-bedrock-input-token-count"], "9");
            headers[ADDED[0]].to_str().unwrap().to_owned()
        };
        assert_eq!(["007", "x", "5"].map(&mut round), ["007", "x", "12"]);
    }
}
