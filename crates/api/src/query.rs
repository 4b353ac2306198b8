//! Parameters of a query.

use serde::Serialize;
use serde_json::Value;

/// A value as it stands in a URL; `None` where it is empty, which counts as not given.
pub(crate) fn text(value: &impl Serialize) -> Option<String> {
    let text = match serde_json::to_value(value).ok()? {
        Value::String(text) => text,
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Declares the parameters of a query, each of which may be missing: its name, the type of its
/// value, after `as` the schema of that type where it is not the type's own, and in braces what
/// the schema says besides.
macro_rules! query {
    (
        $(#[$said:meta])*
        pub struct $Query:ident {
            $(
                $(#[$of_field:meta])*
                $field:ident: $Value:ty $(as $Schema:ty)? $({ $($besides:tt)* })?,
            )*
        }
    ) => {
        $(#[$said])*
        #[derive(
            Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize,
            utoipa::ToSchema, utoipa::IntoParams,
        )]
        #[into_params(parameter_in = Query)]
        pub struct $Query {
            $(
                $(#[$of_field])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                $(#[schema(value_type = Option<$Schema>)])?
                #[param(nullable = false)]
                $(#[param(value_type = $Schema, required = false)])?
                $(#[param($($besides)*)])?
                pub $field: Option<$Value>,
            )*
        }

        impl $Query {
            /// Their names.
            pub const NAMES: &[&str] = &[$(stringify!($field)),*];

            /// Those that are given, with their values as they stand in a URL.
            pub fn given(&self) -> Vec<(&'static str, String)> {
                let all = [$((stringify!($field), $crate::query::text(&self.$field))),*];
                all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            }
        }
    };
}

pub(crate) use query;
