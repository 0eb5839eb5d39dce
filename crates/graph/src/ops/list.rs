//! Every op. To add one: its file, and a line here.

use super::*;

macro_rules! ops {
    ($($name:ident),* $(,)?) => {
        /// An op with its attributes.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        impl Op {
            /// What the attributes mean.
            pub fn kind(&self) -> &dyn OpKind {
                match self {
                    $(Self::$name(op) => op,)*
                }
            }
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        })*
    };
}

ops![
    Affine,
    BatchNorm,
    Binary,
    ByWeight,
    Concat,
    Constant,
    Conv2d,
    Conv3d,
    ConvTranspose2d,
    Crop,
    Dense,
    Depthwise,
    Dropout,
    Elementwise,
    Embed,
    GlobalPool,
    GroupNorm,
    Normalize,
    Pad,
    Permute,
    Pool,
    Product,
    Recurrent,
    Reduce,
    Reshape,
    Resize,
    Select,
    Softmax,
    Take,
    Unary,
    UnitNorm,
];
