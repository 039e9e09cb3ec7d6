//! One input, made smaller.

use bytes::Bytes;
use headroom_engine::{Engine, Originals, Policy, Report, RequestContext, Retrievable, ScanError};

use super::input::Input;
use crate::text::Text;

/// How inputs are compressed.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) engine: Engine,
    /// The model, where the input does not name one.
    pub(crate) model: Option<String>,
    /// What texts are wanted for.
    pub(crate) query: Option<String>,
    /// Nothing is left out.
    pub(crate) exact: bool,
}

/// What became of one input.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) input: Input,
    pub(crate) body: Bytes,
    pub(crate) originals: Originals,
    pub(crate) report: Report,
}

impl Work {
    /// Compresses `text`; `source` is the file it was read from.
    ///
    /// A request becomes what the layer would send. Of messages and texts parts are left out as if
    /// the caller redeemed them.
    pub(crate) fn run(&self, input: Input, text: &Bytes, source: Option<&str>) -> Result<Outcome, ScanError> {
        let retrievable = (!self.exact).then(Retrievable::by_caller);
        let model = self.model.as_deref().unwrap_or_default();
        let utf8 = || std::str::from_utf8(text).map_err(|_| ScanError::NotUtf8);
        match input {
            Input::Request(dialect) => {
                let mut context = RequestContext::new(dialect);
                if let Some(model) = &self.model {
                    context = context.model(model);
                }
                let policy = if self.exact { Policy::exact() } else { Policy::default() };
                let rewrite = self.engine.scan(text.clone(), &context)?.rewrite(&policy, &[]);
                Ok(Outcome {
                    input,
                    body: rewrite.body,
                    originals: rewrite.originals,
                    report: rewrite.report,
                })
            }
            Input::Messages => {
                let compressed = self.engine.compress(utf8()?, model, retrievable)?;
                Ok(Outcome {
                    input,
                    body: Bytes::copy_from_slice(compressed.messages().as_bytes()),
                    originals: compressed.originals().clone(),
                    report: compressed.report().clone(),
                })
            }
            Input::Text => {
                let text = Text { text: utf8()?, source, query: self.query.as_deref() };
                let smaller = text.compress(&self.engine, model, retrievable)?;
                Ok(Outcome {
                    input,
                    body: smaller.text.into(),
                    originals: smaller.originals,
                    report: smaller.report,
                })
            }
        }
    }
}
