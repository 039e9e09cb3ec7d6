use proptest::prelude::*;

use super::*;
use crate::{
    ccr::HandleKey,
    rank::Query,
    reduce::{Gate, Op, Refusal, render},
    tokens::O200k,
};

fn context(query: &Query) -> Context<'_> {
    Context {
        query,
        tool: "",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    }
}

fn written(source: &str, reduction: &Reduction) -> String {
    let key = HandleKey::default();
    let gate = Gate { counter: &O200k, key: &key };
    match gate.pass(source, None, "table", reduction) {
        Ok(accepted) => accepted.rendered.text,
        // Too small to pay is no fault.
        Err(Refusal::NotSmaller) => render(source, reduction, "table", &key).text,
        Err(refusal) => panic!("{refusal}: {reduction:?}"),
    }
}

fn exact(source: &str) -> String {
    let query = Query::default();
    assert!(TableCompressor.recognises(source, Hints::default()), "no table: {source}");
    written(source, &TableCompressor.exact(source, &context(&query)).unwrap())
}

fn elided(source: &str, query: &str) -> String {
    let query = Query::new([query]);
    written(source, &TableCompressor.elide(source, &context(&query)).unwrap())
}

#[test]
fn each_kind_is_written_short() {
    for (source, expected) in [
        (
            "id,name,city,amount\n0,user 0,paris,0\n1,user 1,paris,13\n2,user 2,paris,26\n3,user 3,paris,40\n4,user 9,paris,53\n",
            "$csv id@0+1,name,city=paris,amount\nuser 0,0\nuser 1,13\nuser 2,26\nuser 3,40\nuser 9,53\n",
        ),
        (
            "+----+-------+\n| id | name  |\n+----+-------+\n|  7 | Ann   |\n|  9 | NULL  |\n| 12 | Oskar |\n+----+-------+\n3 rows in set (0.00 sec)\n",
            "$mysql id>,name\n7,Ann\n9,NULL\n12,Oskar\n[~-]\n3 rows in set (0.00 sec)\n",
        ),
        (
            " id | name  \n----+-------\n  7 | Ann\n  9 | Bo\n 12 | Oskar\n(3 rows)\n",
            "$psql id>,name\n7,Ann\n9,Bo\n12,Oskar\n(3 rows)\n",
        ),
        (
            "NAME          READY   STATUS    AGE\nweb-6f9-abc   1/1     Running   5d\nweb-6f9-xyz   1/1     Running   12h\ndb-0          1/1     Running   5d\nq-1           0/1     Pending   3m\n",
            "$cols3 NAME,READY?1/1,STATUS,AGE\nweb-6f9-abc,,Running,5d\nweb-6f9-xyz,,Running,12h\ndb-0,,Running,5d\nq-1,0/1,Pending,3m\n",
        ),
        (
            "[('Aruba', 828.0, None), ('Angola', 6.5, None), ('Oslo', 7.5, None), ('Rome', 2.0, None)]",
            "$tuples- :str,,=None\nAruba,828.0\nAngola,6.5\nOslo,7.5\nRome,2.0",
        ),
        ("[('ABW',), ('AFG',), ('AGO',), ('ALB',)]\n", "$tuples- :str\nABW\nAFG\nAGO\nALB\n"),
    ] {
        assert_eq!(exact(source), expected, "{source}");
    }
}

#[test]
fn odd_rows_quotes_and_line_ends_come_back() {
    for source in [
        "a,b,c\r\n1,\"x, y\",3\r\n4,\"q \"\"z\"\"\",6\r\n7,8\r\n9,10,11\r\n12,=13,[~lines 3]\r\n",
        "name,name,val\nfirst0,second0,0\nfirst1,second1,1\nfirst2,second2,2\nfirst3,second3,4",
        "a;b;c\n1,5;2;3\n2,5;3;4\n3,5;;5\n;;\n4,5;1;1\n",
        "| a | b |\n|---|:-:|\n| 1 | 2 |\n| x \\| y | 3 |\n| 4 | |\n| é | 5 |\n",
        "x\ty\tz\n1\t\t3\n=1\t=\t3\n\t\t\n1\t1\t1\n",
        "total 12\n-rw-r--r-- 1 root root   12 Apr  3 08:32 a b.md\n-rw-r--r-- 1 root root 9336 Apr 30 08:32 c.md\ndrwxr-xr-x 2 root root 4096 Apr 13 08:32 dir\n-rw-r--r-- 1 root root    0 Apr 30 18:32 ééé\n-rw-r--r-- 1 root root    0 Apr 30 18:32 z\n",
        "[(1, 'it\\'s', \"a, b\", (1, 2)), (2, 'x', None, []), (3, 'x', None, []), (4, '', 'x', [])]",
        "[('a', 1),\n ('b', 2),\n ('c', 3),\n ('d', 5)]\nthen\n",
    ] {
        exact(source);
    }
}

#[test]
fn text_around_a_table_stays() {
    let rows: String = (0..9).map(|n| format!("| region {n} | {} | owner {} |\n", n * 13, n % 4)).collect();
    let source = format!(
        "# Report\n\nIt is restated.\n\n| region | amount | owner |\n|---|---|---|\n{rows}\nRegion 4 is wrong.\n"
    );
    let text = exact(&source);
    assert!(text.starts_with("# Report\n\nIt is restated.\n\n$md."), "{text}");
    assert!(text.ends_with("\nRegion 4 is wrong.\n"), "{text}");
}

#[test]
fn text_that_is_no_table_is_left_alone() {
    for source in [
        "fn main() {\n    let a = f(1, 2, 3);\n    let b = f(4, 5, 6);\n    let c = f(7, 8, 9);\n    let d = f(1, 1, 1);\n}\n",
        "One, two, and three.\nFour, five, and six.\nSeven, eight, and nine.\nTen, eleven, and twelve.\n",
        "",
        "a,b\nc,d\n",
    ] {
        assert!(!TableCompressor.recognises(source, Hints::default()), "{source}");
    }
}

fn services(count: usize) -> String {
    let row = |n: usize| {
        let status = if n == 77 { "Error" } else { "Running" };
        let restarts = if n == 130 { 99 } else { n % 3 };
        format!("{:<20}{:<10}{restarts:>8}   {}m\n", format!("pod-{}", n * 7919 % 10007), status, n * 37 % 60)
    };
    let head = format!("{:<20}{:<10}{:>8}   {}\n", "NAME", "STATUS", "RESTARTS", "AGE");
    head + &(0..count).map(row).collect::<String>()
}

#[test]
fn errors_outliers_and_what_is_asked_for_stay() {
    let source = services(300);
    let text = elided(&source, "what about pod-9747");
    assert!(text.contains("[~lines "), "{text}");
    assert!(text.contains("Error") && text.contains(",99,"), "{text}");
    assert!(text.contains("pod-9747"), "{text}");
    assert!(text.len() * 4 < source.len(), "{}", text.len());
}

#[test]
fn tuples_are_elided_by_items() {
    let items: Vec<String> = (0..400).map(|n| format!("({n}, 'name {}', None)", n * 7919 % 1009)).collect();
    let source = format!("[{}]", items.join(", "));
    let query = Query::default();
    let reduction = TableCompressor.elide(&source, &context(&query)).unwrap();
    let text = written(&source, &reduction);
    let op =
        reduction.segments.iter().flat_map(|segment| &segment.ops).find(|op| matches!(op, Op::Elide { .. }));
    let Some(Op::Elide { range, first, .. }) = op else { panic!("nothing left out: {text}") };
    assert!(source[range.clone()].starts_with(&items[first - 1]), "{first}");
    assert!(text.contains("[~items "), "{text}");
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c0-9]{1,4}",
        1 => "[a-z =\"'\\[~\\\\é,;|]{0,6}",
        1 => Just("None".to_owned()),
        1 => Just(String::new()),
    ]
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (2usize..5, 3usize..14).prop_flat_map(|(columns, rows)| {
        let fixed = prop::collection::vec(prop::option::of(cell()), columns);
        let free = prop::collection::vec(prop::collection::vec(cell(), columns), rows);
        (fixed, free, any::<bool>()).prop_map(|(fixed, mut free, count)| {
            for (at, row) in free.iter_mut().enumerate() {
                for (cell, fixed) in row.iter_mut().zip(&fixed) {
                    if let Some(fixed) = fixed {
                        *cell = format!("{fixed}{}", if count && at % 3 > 0 { "x" } else { "" });
                    }
                }
                if count {
                    row[0] = (at * 3).to_string();
                }
            }
            free
        })
    })
}

/// `cells` as programs print them.
fn print(cells: &[Vec<String>], kind: u8, long: bool) -> String {
    let end = if long { "\r\n" } else { "\n" };
    let widths: Vec<usize> = (0..cells[0].len())
        .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let pad = |row: &[String], between: &str| -> String {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(at, (cell, width))| {
                    if at % 2 == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        cells.join(between)
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut lines: Vec<String> = match kind {
        0 => cells.iter().map(|row| row.join(",")).collect(),
        1 => cells.iter().map(|row| row.join("\t")).collect(),
        2 => cells.iter().map(|row| row.join(";")).collect(),
        3 => cells.iter().map(|row| row.join("|")).collect(),
        4 | 5 => cells.iter().map(|row| format!("| {} |", pad(row, " | "))).collect(),
        6 => cells.iter().map(|row| format!(" {}", pad(row, " | ")).trim_end().to_owned()).collect(),
        _ => cells.iter().map(|row| pad(row, "  ").trim_end().to_owned()).collect(),
    };
    match kind {
        4 => lines.insert(1, format!("|{}|", rule.join("|"))),
        5 => {
            let rule = format!("+{}+", rule.join("+"));
            lines.insert(1, rule.clone());
            lines.insert(0, rule.clone());
            lines.push(rule);
        }
        6 => lines.insert(1, rule.join("+")),
        _ => {}
    }
    lines.join(end) + end
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_come_back(cells in table(), kind in 0u8..8, long: bool, cut in 0usize..3, names in prop::option::of(Just(()))) {
        let mut cells = cells;
        if names.is_some() {
            for (at, cell) in cells[0].iter_mut().enumerate() {
                *cell = format!("name{at}");
            }
        }
        let source = print(&cells, kind, long);
        let mut source = source;
        source.truncate(source.char_indices().rev().nth(cut).map_or(0, |(at, _)| at));
        let source = &source[..];
        let query = Query::new(["a1 name"]);
        for reduction in [TableCompressor.exact(source, &context(&query)), TableCompressor.elide(source, &context(&query))].iter().flatten() {
            written(source, reduction);
        }
    }

    #[test]
    fn long_tables_are_elided_and_come_back(row in prop::collection::vec(cell(), 3), kind in 0u8..8, odd in 0usize..60) {
        let cells: Vec<Vec<String>> = (0..60)
            .map(|at| {
                let mut cells = row.clone();
                cells[0] = format!("w{} and more words of it", at * 7 % 13);
                cells[1] = if at == odd { "x|,;\ty".to_owned() } else { cells[1].clone() };
                cells[2] = format!("{}{at}", cells[2]);
                cells
            })
            .collect();
        let source = print(&cells, kind, false);
        let query = Query::default();
        if let Some(reduction) = TableCompressor.elide(&source, &context(&query)) {
            written(&source, &reduction);
        }
    }

    #[test]
    fn tuple_lists_come_back(cells in table(), wrapped: bool) {
        let repr = |cell: &String| match cell.parse::<i64>() {
            Ok(number) => number.to_string(),
            Err(_) if cell == "None" => cell.clone(),
            Err(_) => format!("'{}'", cell.replace('\\', "\\\\").replace('\'', "\\'")),
        };
        let rows: Vec<String> = cells
            .iter()
            .map(|row| format!("({})", row.iter().map(repr).collect::<Vec<_>>().join(", ")))
            .collect();
        let source = format!("found: [{}]\nend", rows.join(if wrapped { ",\n " } else { ", " }));
        let query = Query::default();
        if let Some(reduction) = TableCompressor.exact(&source, &context(&query)) {
            written(&source, &reduction);
        }
    }

    #[test]
    fn any_text_is_survived(source in "[-+|,;\t (\\[)\\]'a1~=\n]{0,200}") {
        let query = Query::default();
        if let Some(reduction) = TableCompressor.elide(&source, &context(&query)) {
            written(&source, &reduction);
        }
    }

    #[test]
    fn any_output_is_read_or_refused(text in "\\$(csv|cols2|md|psql|tuples)[-.+!]{0,2} [a-c,:?^@=<>0-9+*']{0,20}\n[a-c,\n=\\[~\\]]{0,30}") {
        let _ = crate::reduce::Codec::decode(&TableCodec, &text, &mut |_| {});
    }
}
