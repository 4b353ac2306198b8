//! A section of settings: a struct whose fields are the declarations.

/// Declares a section of settings: a struct whose fields are the declarations. A field's comment
/// is the setting's meaning, what stands behind `=` its name, type, default, example and readers.
/// `read` reads all fields, so that everything that is wrong is told at once.
macro_rules! settings {
    (
        #[doc = $section:literal]
        $vis:vis struct $name:ident {
            $($(#[doc = $meaning:literal])+ $field_vis:vis $field:ident: $type:ty = $setting:expr,)+
        }
    ) => {
        #[doc = $section]
        #[derive(Debug, Clone)]
        $vis struct $name {
            $($(#[doc = $meaning])+ $field_vis $field: $type,)+
        }

        impl $name {
            /// Reads all of them; an error when one is wrong, which the reader then knows.
            pub(crate) fn read(
                reader: &mut $crate::reader::Reader<'_>,
            ) -> Result<Self, $crate::reader::Reported> {
                let ($($field,)+) =
                    ($(reader.declared($setting, $section, &[$($meaning),+]),)+);
                Ok(Self { $($field: $field?,)+ })
            }
        }
    };
}

pub(crate) use settings;
