//! Which vector instructions this processor has, asked once, and the macro that compiles one plain loop for each.

use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "which variants can be built depends on the processor family")]
pub(crate) enum InstructionSet {
    /// 16 lanes, 32 registers.
    Avx512,
    /// 8 lanes, 16 registers, with fused multiply-add.
    Avx2,
    /// 4 lanes, 32 registers.
    Neon,
    /// What the compiler's baseline offers.
    Portable,
}

impl InstructionSet {
    /// The best set of this processor.
    pub(crate) fn detected() -> Self {
        static DETECTED: OnceLock<InstructionSet> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            #[cfg(target_arch = "x86_64")]
            {
                let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                let avx512 = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw");
                if avx2 && avx512 {
                    return Self::Avx512;
                }
                if avx2 {
                    return Self::Avx2;
                }
            }
            #[cfg(target_arch = "aarch64")]
            if std::arch::is_aarch64_feature_detected!("neon") {
                return Self::Neon;
            }
            Self::Portable
        })
    }

    /// Whether this processor has AVX-512 with products of bf16 pairs.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn multiplies_bf16() -> bool {
        Self::detected() == Self::Avx512 && is_x86_feature_detected!("avx512bf16")
    }

    /// Whether this processor has AVX-512 with products of four bytes.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn multiplies_bytes() -> bool {
        Self::detected() == Self::Avx512 && is_x86_feature_detected!("avx512vnni")
    }
}

/// The vector instructions in use: `avx512`, `avx2`, `neon` or `portable`. Chosen once, when first asked.
pub fn instruction_set() -> &'static str {
    match InstructionSet::detected() {
        InstructionSet::Avx512 => "avx512",
        InstructionSet::Avx2 => "avx2",
        InstructionSet::Neon => "neon",
        InstructionSet::Portable => "portable",
    }
}

/// The same for products of bf16: `avx512_bf16` where the processor multiplies them itself.
pub fn bf16_instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if InstructionSet::multiplies_bf16() {
        return "avx512_bf16";
    }
    instruction_set()
}

/// The same for products of bytes: `avx512_vnni` where the processor multiplies them itself. All give the same bits.
pub fn int8_instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if InstructionSet::multiplies_bytes() {
        return "avx512_vnni";
    }
    instruction_set()
}

/// Compiles the body of a plain function once for each instruction set, for the compiler to vectorise, and calls
/// the one that this processor can run. Arguments are plain names.
macro_rules! vectorized {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$element:ident: $bound:path>)? ($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<$element: $bound>)? ($($arg: $ty),*) {
            #[inline(always)]
            fn plain $(<$element: $bound>)? ($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            fn avx512 $(<$element: $bound>)? ($($arg: $ty),*) {
                plain($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$element: $bound>)? ($($arg: $ty),*) {
                plain($($arg),*)
            }

            match $crate::dispatch::InstructionSet::detected() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: detected only where the processor has these features.
                $crate::dispatch::InstructionSet::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: detected only where the processor has these features.
                $crate::dispatch::InstructionSet::Avx2 => unsafe { avx2($($arg),*) },
                _ => plain($($arg),*),
            }
        }
    };
}
pub(crate) use vectorized;
