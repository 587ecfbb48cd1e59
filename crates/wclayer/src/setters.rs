//! [`setters`]: one way to change the fields of options that may get more fields later.

/// Makes a setter for each of the named fields. Setters after `into` take everything that converts.
macro_rules! setters {
    ($options:ident { $($field:ident: $type:ty),* $(,)? } $(into { $($into:ident: $target:ty),* })?) => {
        impl $options {
            $(
                #[doc = concat!("Sets `", stringify!($field), "`.")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
            $($(
                #[doc = concat!("Sets `", stringify!($into), "`.")]
                #[must_use]
                pub fn $into(mut self, $into: impl Into<$target>) -> Self {
                    self.$into = $into.into();
                    self
                }
            )*)?
        }
    };
}
