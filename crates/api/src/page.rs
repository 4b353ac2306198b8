//! Lists in pages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::query::query;

/// Give it as `cursor` for the next page; null at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct NextPage(pub Option<String>);

query! {
    /// How much of a list.
    pub struct PageQuery {
        /// Rows of the page.
        limit: u32 { minimum = 1, maximum = 1000, default = 50 },
        /// `next` of the page before.
        cursor: String,
    }
}

query! {
    /// How much of a list that is short.
    pub struct ShortPageQuery {
        /// Rows of the page.
        limit: u32 { minimum = 1, maximum = 1000, default = 1000 },
        /// `next` of the page before.
        cursor: String,
    }
}

/// A document that holds a page of a list.
pub trait Page {
    /// One row.
    type Row;

    /// The rows, and where the next page begins.
    fn into_parts(self) -> (Vec<Self::Row>, NextPage);
}

/// Declares the document of a page: its rows under the name they have in JSON, where the next page
/// begins, and how many there are.
macro_rules! list {
    (
        $(#[$said:meta])*
        pub struct $List:ident {
            $(#[$of_rows:meta])*
            $rows:ident: $Row:ty,
            $(#[$of_total:meta])*
            total,
        }
    ) => {
        $(#[$said])*
        #[derive(
            Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
        )]
        pub struct $List {
            $(#[$of_rows])*
            pub $rows: Vec<$Row>,
            /// Where the next page begins.
            #[serde(default)]
            #[schema(required)]
            pub next: $crate::NextPage,
            $(#[$of_total])*
            #[serde(default)]
            #[schema(required, minimum = 0)]
            pub total: u64,
            /// There are no more than `total`.
            #[serde(default)]
            #[schema(required)]
            pub total_is_exact: bool,
        }

        impl $crate::Page for $List {
            type Row = $Row;

            fn into_parts(self) -> (Vec<$Row>, $crate::NextPage) {
                (self.$rows, self.next)
            }
        }
    };
}

pub(crate) use list;
