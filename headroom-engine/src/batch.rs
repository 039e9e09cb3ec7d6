//! Batches: many requests in one body, whose answers nobody intercepts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::{
    engine::{Engine, Rewrite},
    originals::Originals,
    policy::{Policy, RequestContext, Route},
    report::Report,
    wire::{
        self, Dialect,
        scan::ScanError,
        splice::{Edit, Splice},
    },
};

impl Engine {
    /// Rewrites each request of a batch, exactly: no tool is listed and nothing is left out. What is
    /// no request of the dialect stays as it is. The report's blocks are those of all requests, in
    /// order, each numbered within its own.
    ///
    /// Only [`Dialect::AnthropicMessages`] has batches that are one JSON body:
    /// `{"requests":[{"custom_id":…,"params":{…}}]}`.
    ///
    /// # Errors
    /// If `body` is no such batch. Send it as it is.
    ///
    /// ```
    /// use headroom_engine::{Dialect, Engine, Policy};
    /// let body = br#"{"requests":[{"custom_id":"a","params":{"model":"m","messages":[]}}]}"#.to_vec().into();
    /// let rewrite = Engine::new().batch(&body, Dialect::AnthropicMessages, &Policy::default())?;
    /// assert_eq!(rewrite.body, body);
    /// # Ok::<(), headroom_engine::ScanError>(())
    /// ```
    pub fn batch(&self, body: &Bytes, dialect: Dialect, policy: &Policy) -> Result<Rewrite, ScanError> {
        let text = std::str::from_utf8(body).map_err(|_| ScanError::NotUtf8)?;
        let requests = wire::batch(dialect, text)?;
        let policy = policy.clone().exactly();
        let context = RequestContext { route: Route::ExactOnly, ..RequestContext::new(dialect) };
        let mut edits = Vec::new();
        let mut report = Report { mode: policy.mode(), ..Report::default() };
        for span in requests {
            let own = body.slice(span.clone());
            let scan = catch_unwind(AssertUnwindSafe(|| self.scan(own, &context)));
            let Ok(Ok(scanned)) = scan else { continue };
            let rewrite = scanned.rewrite(&policy, &[]);
            report.failed_open |= rewrite.report.failed_open;
            report.limited = report.limited.or(rewrite.report.limited);
            report.blocks.extend(rewrite.report.blocks);
            report.model = rewrite.report.model;
            if rewrite.body != body[span.clone()]
                && let Ok(text) = std::str::from_utf8(&rewrite.body)
            {
                edits.push(Edit { span, text: text.into() });
            }
        }
        let written =
            Splice::new(edits, body.len()).map_or_else(|| body.clone(), |splice| splice.apply(body));
        Ok(Rewrite {
            body: written,
            originals: Originals::default(),
            continuation: None,
            records: Vec::new(),
            previous: None,
            sent_once: false,
            report,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(output: &str) -> Value {
        json!({"model": "claude-haiku-4-5", "max_tokens": 9, "tools": [{"name": "run", "description": "Runs a command", "input_schema": {}}],
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "run", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": output}]}]})
    }

    fn rows() -> String {
        let rows: Vec<Value> = (0..80)
            .map(|at| json!({"id": at, "state": "ready", "region": "north", "load": at * 7}))
            .collect();
        serde_json::to_string_pretty(&rows).unwrap()
    }

    fn batch(body: &str) -> Result<Rewrite, ScanError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Engine::new().batch(&body, Dialect::AnthropicMessages, &Policy::default())
    }

    #[test]
    fn each_request_becomes_what_it_would_alone_and_lists_no_tool() {
        let alone = request(&rows()).to_string();
        let context =
            RequestContext { route: Route::ExactOnly, ..RequestContext::new(Dialect::AnthropicMessages) };
        let scanned = Engine::new().scan(alone.clone().into(), &context).unwrap();
        let single = scanned.rewrite(&Policy::exact(), &[]).body;
        assert!(single.len() < alone.len());
        let around = |params: &str| {
            format!(
                r#" {{"x":1.0, "requests":[{{"custom_id":"a","params":{params}}}, 7, {{"params":{{"odd":1}}}},{{"params": {params} ,"z":"\u00e9"}}]}} "#
            )
        };
        let rewrite = batch(&around(&alone)).unwrap();
        assert_eq!(rewrite.body, around(std::str::from_utf8(&single).unwrap()));
        assert!(
            rewrite.continuation.is_none() && rewrite.originals.is_empty() && !rewrite.report.tool_listed
        );
        assert!(rewrite.report.tokens_saved() > 0 && rewrite.report.blocks.len() == 2);
    }

    #[test]
    fn a_client_that_redeems_by_itself_gets_exact_rewrites_too() {
        let mut body = request(&"a line of words that come again and again\n".repeat(400));
        body["tools"][0]["name"] = "retrieve_original_content".into();
        let rewrite = batch(&json!({"requests": [{"params": body}]}).to_string()).unwrap();
        assert!(rewrite.report.blocks.iter().all(|block| block.hidden.is_empty()));
    }

    #[test]
    fn what_is_nothing_to_us_is_the_same_bytes() {
        for body in [
            r#"{"requests":[]}"#.to_owned(),
            r#"{"requests":[{"params":3},{"params":{"messages":[],"messages":[]}}]}"#.to_owned(),
            // Which of two is meant?
            format!(r#"{{"requests":[{{"params":{0},"params":{0}}}]}}"#, request(&rows())),
        ] {
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            let rewrite =
                Engine::new().batch(&bytes, Dialect::AnthropicMessages, &Policy::default()).unwrap();
            assert_eq!((rewrite.body.as_ptr(), rewrite.body.len()), (bytes.as_ptr(), bytes.len()), "{body}");
        }
        for body in ["", "{", "[]", "{}", r#"{"requests":{}}"#, r#"{"requests":[],"requests":[]}"#] {
            assert!(batch(body).is_err(), "{body}");
        }
        assert!(
            Engine::new()
                .batch(&"{\"requests\":[]}".into(), Dialect::OpenAiChat, &Policy::default())
                .is_err()
        );
    }
}
