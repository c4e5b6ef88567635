//! Types that stand as a text in manifests and in the store.

/// Has a type written by its `Display`, read by its `FromStr`, and described by this schema.
#[macro_export]
macro_rules! as_text {
    ($of:ident, $schema:tt) => {
        impl ::serde::Serialize for $of {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        $crate::from_text!($of, $schema);
    };
}

/// The same of one whose `Display` is for others, and which says itself how it is written.
#[macro_export]
macro_rules! from_text {
    ($of:ident, $schema:tt) => {
        impl<'de> ::serde::Deserialize<'de> for $of {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::borrow::Cow<'de, str> as ::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(::serde::de::Error::custom)
            }
        }

        impl ::schemars::JsonSchema for $of {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::std::stringify!($of).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!($schema)
            }
        }
    };
}
