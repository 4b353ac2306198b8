//! Tests of the spans.
