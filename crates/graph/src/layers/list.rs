//! What is made from the list of all layer kinds, which is in `mod.rs`.

macro_rules! layers {
    (
        of several classes: $($family:ident),*;
        operations: $operation:ident;
        $($kind:ident: $($class:literal $(($meaning:expr))?),+;)*
    ) => {
        /// A layer kind with its attributes.
        #[derive(Clone, Debug)]
        pub enum Kind {
            $(#[doc = concat!("See [`", stringify!($family), "`].")] $family($family),)*
            #[doc = concat!("See [`", stringify!($operation), "`].")]
            $operation($operation),
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)*
        }

        impl std::ops::Deref for Kind {
            type Target = dyn LayerKind;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$family(layer) => layer,)*
                    Self::$operation(operation) => operation,
                    $(Self::$kind(layer) => layer,)*
                }
            }
        }

        $(impl From<$family> for Kind {
            fn from(layer: $family) -> Self {
                Self::$family(layer)
            }
        })*

        impl From<$operation> for Kind {
            fn from(operation: $operation) -> Self {
                Self::$operation(operation)
            }
        }

        $(impl From<$kind> for Kind {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        })*

        /// Keras's names of all classes of layers that can be run, sorted.
        pub fn classes() -> Vec<&'static str> {
            let mut classes = [$($family::CLASSES,)* &[$($($class,)+)*]].concat();
            classes.sort_unstable();
            classes.dedup();
            classes
        }

        /// Reads the attributes of a layer of the class `class_name` from its config in the form of Keras 3. `None` for a
        /// class that frostline does not know.
        pub fn read_kind(class_name: &str, config: &Config<'_>) -> Option<Result<Kind>> {
            $(if let Some(class_name) = $family::CLASSES.iter().find(|class| **class == class_name)
                && let Some(read) = $family::from_config(class_name, config)
            {
                return Some(read.map(Kind::$family));
            })*
            if let Some(read) = $operation::from_config(class_name, config) {
                return Some(read.map(Kind::$operation));
            }
            match class_name {
                $($($class => Some($kind::from_config($($meaning,)? config).map(Kind::$kind)),)+)*
                _ => None,
            }
        }
    };
}
