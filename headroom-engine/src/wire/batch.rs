//! Batches: `POST /v1/messages/batches`, many requests in one body.

use std::ops::Range;

use super::{
    Dialect, object_or_skip, once,
    scan::{ScanError, Scanner},
};

/// Where the bodies of a batch's requests stand.
pub(super) fn read(dialect: Dialect, body: &str) -> Result<Vec<Range<usize>>, ScanError> {
    if dialect != Dialect::AnthropicMessages {
        return Err(ScanError::Shape("its batches are no JSON body"));
    }
    let mut scanner = Scanner::new(body);
    let mut found = None;
    scanner.object(|scanner, key| {
        if key != "requests" {
            return scanner.skip().map(drop);
        }
        let mut spans = Vec::new();
        scanner.array(|scanner| {
            let (mut params, mut twice) = (None, false);
            object_or_skip(scanner, |scanner, key| {
                let span = scanner.skip()?;
                if key == "params" {
                    twice |= params.replace(span).is_some();
                }
                Ok(())
            })?;
            // Of a field given twice, readers may take either.
            spans.extend(params.filter(|_| !twice));
            Ok(())
        })?;
        once(&mut found, scanner, spans)
    })?;
    scanner.end()?;
    found.ok_or(ScanError::Shape("`requests` is missing"))
}
