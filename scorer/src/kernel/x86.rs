//! AVX-512 and AVX2 with fused multiply-add.

use std::arch::x86_64::{
    __m256, __m256d, __m512, __m512d, _mm256_add_pd, _mm256_add_ps, _mm256_castpd_si256, _mm256_castps_si256,
    _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps,
    _mm256_max_pd, _mm256_max_ps, _mm256_mul_pd, _mm256_mul_ps, _mm256_set1_pd, _mm256_set1_ps, _mm256_slli_epi32,
    _mm256_slli_epi64, _mm256_storeu_pd, _mm256_storeu_ps, _mm256_sub_pd, _mm256_sub_ps, _mm512_add_pd, _mm512_add_ps,
    _mm512_castpd_si512, _mm512_castps_si512, _mm512_castsi512_pd, _mm512_castsi512_ps, _mm512_fmadd_pd,
    _mm512_fmadd_ps, _mm512_loadu_pd, _mm512_loadu_ps, _mm512_max_pd, _mm512_max_ps, _mm512_mul_pd, _mm512_mul_ps,
    _mm512_set1_pd, _mm512_set1_ps, _mm512_slli_epi32, _mm512_slli_epi64, _mm512_storeu_pd, _mm512_storeu_ps,
    _mm512_sub_pd, _mm512_sub_ps,
};

use super::lanes::{Instructions, Lanes, Task};

macro_rules! lanes {
    ($set:ident, $number:ty, $vector:ty, $width:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident,
     $mul:ident, $fma:ident, $max:ident, $shift:ident, $mantissa_bits:literal, $to_bits:ident, $from_bits:ident) => {
        // SAFETY, of every block below: a value of the type exists only where the processor has the instructions; and
        // load and store check that the slice is long enough for the pointer they make of it.
        impl Lanes<$number> for $set {
            type Vector = $vector;
            const WIDTH: usize = $width;

            #[inline(always)]
            fn splat(self, x: $number) -> Self::Vector {
                unsafe { $splat(x) }
            }

            #[inline(always)]
            fn load(self, from: &[$number]) -> Self::Vector {
                unsafe { $load(from[..$width].as_ptr()) }
            }

            #[inline(always)]
            fn store(self, vector: Self::Vector, to: &mut [$number]) {
                unsafe { $store(to[..$width].as_mut_ptr(), vector) }
            }

            #[inline(always)]
            fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                unsafe { $fma(a, b, c) }
            }

            #[inline(always)]
            fn at_least(self, x: Self::Vector, lowest: Self::Vector) -> Self::Vector {
                // The second operand is the result where either is NaN.
                unsafe { $max(lowest, x) }
            }

            #[inline(always)]
            fn power(self, rounded: Self::Vector) -> Self::Vector {
                unsafe { $from_bits($shift::<$mantissa_bits>($to_bits(rounded))) }
            }
        }
    };
}

macro_rules! instructions {
    ($set:ident, $doc:literal, $features:literal, $($feature:tt),+) => {
        #[doc = $doc]
        #[derive(Clone, Copy)]
        pub(super) struct $set(());

        impl $set {
            /// The instructions, where the processor has them.
            pub(super) fn detect() -> Option<Self> {
                ($(is_x86_feature_detected!($feature))&&+).then_some(Self(()))
            }
        }

        impl Instructions for $set {
            fn run(self, task: impl Task) {
                #[target_feature(enable = $features)]
                fn run(set: $set, task: impl Task) {
                    task.run(set);
                }
                // SAFETY: the value exists only where the processor has the instructions.
                unsafe { run(self, task) }
            }
        }
    };
}

instructions!(Avx512, "512 bits.", "avx512f", "avx512f");
instructions!(Avx2, "256 bits.", "avx2,fma", "avx2", "fma");

lanes!(
    Avx512,
    f64,
    __m512d,
    8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_fmadd_pd,
    _mm512_max_pd,
    _mm512_slli_epi64,
    52,
    _mm512_castpd_si512,
    _mm512_castsi512_pd
);
lanes!(
    Avx512,
    f32,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    _mm512_max_ps,
    _mm512_slli_epi32,
    23,
    _mm512_castps_si512,
    _mm512_castsi512_ps
);
lanes!(
    Avx2,
    f64,
    __m256d,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_fmadd_pd,
    _mm256_max_pd,
    _mm256_slli_epi64,
    52,
    _mm256_castpd_si256,
    _mm256_castsi256_pd
);
lanes!(
    Avx2,
    f32,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    _mm256_slli_epi32,
    23,
    _mm256_castps_si256,
    _mm256_castsi256_ps
);
