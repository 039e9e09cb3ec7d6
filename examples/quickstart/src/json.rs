//! The figures as JSON.

use std::{
    error::Error,
    io::{self, Write as _},
};

use headroom_tests::provider::{Asker, Provider};
use serde_json::{Value, json};

use crate::tally::{Row, Tally};

/// Prints one object; `doubles` are the providers that can be asked what they saw.
pub(crate) fn print(
    rows: &[Row],
    doubles: Option<[&Provider; 2]>,
    asker: &Asker,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let conversations: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "direct": row.before.as_ref().map(tally), "layered": tally(&row.after) }))
        .collect();
    let direct: Option<Vec<&Tally>> = rows.iter().map(|row| row.before.as_ref()).collect();
    let direct: Option<Tally> = direct.map(|all| all.into_iter().sum());
    let layered: Tally = rows.iter().map(|row| &row.after).sum();
    let provider = doubles.map(|doubles| {
        let received: Vec<_> = doubles.iter().flat_map(|double| double.received()).collect();
        let refused = received.iter().filter(|request| request.rejection().is_some()).count();
        json!({
            "requests": received.len(), "refused": refused,
            "retrievals_asked": asker.asked(), "retrievals_brought": asker.brought(),
        })
    });
    let all = json!({
        "conversations": conversations,
        "direct": direct.as_ref().map(tally),
        "layered": tally(&layered),
        "provider": provider,
    });
    Ok(writeln!(io::stdout(), "{all}")?)
}

fn tally(tally: &Tally) -> Value {
    json!({
        "requests": tally.requests,
        "tokens": tally.tokens,
        "dollars": tally.cost,
        "tokens_saved_exactly": tally.exact,
        "tokens_elided": tally.elided,
        "retrievals": tally.retrievals,
        "added_ms_median": tally.added_median().map(|added| added.as_secs_f64() * 1e3),
    })
}
