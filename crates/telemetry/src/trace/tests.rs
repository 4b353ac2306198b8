//! Tests of the trace context.

use super::*;

const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn the_example_of_the_recommendation_goes_through() {
    let context: TraceContext = EXAMPLE.parse().unwrap();
    assert_eq!(context.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(context.span_id_hex(), "b7ad6b7169203331");
    assert!(context.sampled());
    assert_eq!(context.to_traceparent(), EXAMPLE);
}

#[test]
fn unknown_flags_are_dropped() {
    let text = EXAMPLE.replace("-01", "-fe");
    let context: TraceContext = text.parse().unwrap();
    assert!(!context.sampled());
    assert_eq!(context.to_traceparent(), EXAMPLE.replace("-01", "-00"));
}

#[test]
fn everything_else_is_refused() {
    let zero_trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
    let zero_span = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16));
    let refused = [
        "",
        "00",
        &EXAMPLE.to_uppercase(),
        &EXAMPLE.replacen("00-", "01-", 1),
        &EXAMPLE.replacen("00-", "ff-", 1),
        &format!("{EXAMPLE}-extra"),
        &format!(" {EXAMPLE}"),
        &EXAMPLE.replace('-', "_"),
        &EXAMPLE.replace('f', "g"),
        &zero_trace,
        &zero_span,
        &"é".repeat(27).chars().chain(['x']).collect::<String>(),
    ];
    for text in refused {
        assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceparent), "{text:?}");
    }
}

#[test]
fn a_child_shares_the_trace_and_nothing_else() {
    let root = TraceContext::new_root();
    let child = root.child();
    assert_eq!(child.trace_id_hex(), root.trace_id_hex());
    assert_ne!(child.span_id_hex(), root.span_id_hex());
    assert!(child.sampled());
}

#[test]
fn zero_is_never_an_id() {
    let root = TraceContext::root([0; 24]);
    assert_eq!(root.to_string().parse(), Ok(root));
    let child = root.child_of([0; 8]);
    assert_eq!(child.to_string().parse(), Ok(child));
}

#[test]
fn it_is_a_text_in_json() {
    let context: TraceContext = EXAMPLE.parse().unwrap();
    let json = serde_json::to_string(&context).unwrap();
    assert_eq!(json, format!("{EXAMPLE:?}"));
    assert_eq!(serde_json::from_str::<TraceContext>(&json).unwrap(), context);
}
