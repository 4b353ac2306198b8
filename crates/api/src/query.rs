//! Parameters of a query.

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
        }
    };
}

pub(crate) use query;
